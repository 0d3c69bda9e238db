// Package browser tests the pages of ospd in a headless Chromium, which
// playwright-core drives. Its tests have the tag servers, since they need both
// and Node.js; scripts/need-servers.sh says where they come from.
package browser
