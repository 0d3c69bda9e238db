package open

import (
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"strings"

	"github.com/osproxy/osproxy/store/oss"
)

// regionForm is how Aliyun writes a region; an endpoint's name has "oss-" in
// front of it.
var regionForm = regexp.MustCompile(`^[a-z]+(-[a-z0-9]+)+$`)

func (c Config) checkOSS() error {
	var errs []error
	if u, err := url.Parse(c.Endpoint); err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || strings.Trim(u.Path, "/") != "" ||
		u.User != nil || u.RawQuery != "" {
		errs = append(errs, errors.New("endpoint: must be a URL like https://oss-cn-hangzhou.aliyuncs.com, without the bucket"))
	}
	if !regionForm.MatchString(c.Region) || strings.HasPrefix(c.Region, "oss-") {
		errs = append(errs, fmt.Errorf("region: %q is not like cn-hangzhou", c.Region))
	}
	if c.AccessKeyID == "" {
		errs = append(errs, errors.New("access_key_id: is missing"))
	}
	if c.AccessKeySecret.Reveal() == "" {
		errs = append(errs, errors.New("access_key_secret: is missing"))
	}
	if len(errs) > 0 {
		return errors.Join(errs...)
	}
	_, err := oss.New(c.oss())
	return err
}

func (c Config) oss() oss.Config {
	return oss.Config{
		Endpoint: c.Endpoint, Region: c.Region, Bucket: c.Bucket, Prefix: c.Prefix,
		AccessKeyID: c.AccessKeyID, AccessKeySecret: c.AccessKeySecret,
	}
}

// placeOSS leaves out what does not tell one bucket from another: the scheme,
// its port, and whether the bucket is reached from inside.
func (c Config) placeOSS() string {
	host := strings.ToLower(c.Endpoint)
	if u, err := url.Parse(host); err == nil {
		if host = u.Host; u.Scheme == "http" && u.Port() == "80" || u.Scheme == "https" && u.Port() == "443" {
			host = u.Hostname()
		}
	}
	host = strings.Replace(host, "-internal.aliyuncs.com", ".aliyuncs.com", 1)
	return strings.Join([]string{"oss", host, c.Bucket, strings.Trim(c.Prefix, "/")}, " ")
}
