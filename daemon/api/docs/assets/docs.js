// Shows the description of this daemon's API. Everything is asked of the daemon
// itself: no validator, and no token kept beyond the page.
"use strict";

SwaggerUIBundle({
  url: new URL("../openapi.json", document.currentScript.src).href,
  domNode: document.getElementById("swagger-ui"),
  presets: [SwaggerUIBundle.presets.apis],
  layout: "BaseLayout",
  deepLinking: true,
  displayRequestDuration: true,
  persistAuthorization: false,
  validatorUrl: null,
});
