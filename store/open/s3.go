package open

import (
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"strings"

	"github.com/osproxy/osproxy/store/object"
	"github.com/osproxy/osproxy/store/s3"
)

// bucketForm is what S3 takes for the name of a bucket.
var bucketForm = regexp.MustCompile(`^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$`)

func (c Config) checkS3() error {
	var errs []error
	if u, err := url.Parse(c.Endpoint); err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Hostname() == "" ||
		strings.Trim(u.Path, "/") != "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		errs = append(errs, errors.New("endpoint: must be http://HOST[:PORT] or https://HOST[:PORT], without the bucket"))
	}
	if c.Region == "" {
		errs = append(errs, errors.New("region: is missing; where the service has none, it is mostly us-east-1"))
	}
	if !bucketForm.MatchString(c.Bucket) || strings.Contains(c.Bucket, "..") {
		errs = append(errs, fmt.Errorf("bucket: %q is no name of a bucket: 3 to 63 lower-case letters, digits, dots and hyphens", c.Bucket))
	}
	if c.AccessKeyID == "" {
		errs = append(errs, errors.New("access_key_id: is missing"))
	}
	if c.SecretAccessKey.Reveal() == "" {
		errs = append(errs, errors.New("secret_access_key: is missing"))
	}
	if _, err := object.NewNames(c.Prefix); err != nil {
		errs = append(errs, fmt.Errorf("prefix: %w", err))
	}
	return errors.Join(errs...)
}

func (c Config) s3() s3.Config {
	return s3.Config{
		Endpoint: c.Endpoint, Region: c.Region, Bucket: c.Bucket, Prefix: c.Prefix,
		AccessKeyID: c.AccessKeyID, SecretAccessKey: c.SecretAccessKey, PathStyle: c.PathStyle,
	}
}

// placeS3 leaves the scheme out, and the port that goes without saying: they do
// not tell one bucket from another.
func (c Config) placeS3() string {
	host := c.Endpoint
	if u, err := url.Parse(c.Endpoint); err == nil {
		host = strings.ToLower(u.Host)
		if p := u.Port(); u.Scheme == "http" && p == "80" || u.Scheme == "https" && p == "443" {
			host = strings.ToLower(u.Hostname())
		}
	}
	return strings.Join([]string{"s3", host, c.Bucket, strings.Trim(c.Prefix, "/")}, " ")
}
