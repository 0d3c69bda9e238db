//go:build unix

package s3server

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// Kind is a program that speaks S3.
type Kind struct {
	// Name is the program's, and the beginning of the name of its folder among
	// the tools that are cached.
	Name string
	// Version is what .ci/NAME.version has, and module what is installed.
	Version string
	module  string
	// variable names a program to take in place of the cached one.
	variable string
	// args and env are what it is started with.
	args func(address, dir string) []string
	env  func(s *Server) []string
}

// MinIO is the server of that name, in the last version that is public.
func MinIO() Kind {
	return Kind{
		Name: "minio", Version: "v0.0.0-20260212201848-7aac2a2c5b7c", module: "github.com/minio/minio", variable: "OSPD_TEST_MINIO",
		args: func(address, dir string) []string {
			return []string{"server", "--quiet", "--address", address, "--certs-dir", filepath.Join(dir, "certs"), filepath.Join(dir, "data")}
		},
		env: func(s *Server) []string {
			return []string{
				"MINIO_ROOT_USER=" + s.AccessKeyID, "MINIO_ROOT_PASSWORD=" + s.SecretAccessKey,
				"MINIO_REGION=" + s.Region, "MINIO_BROWSER=off", "MINIO_UPDATE=off",
			}
		},
	}
}

// Versitygw is the gateway of that name to a folder.
func Versitygw() Kind {
	return Kind{
		Name: "versitygw", Version: "v1.8.0", module: "github.com/versity/versitygw/cmd/versitygw", variable: "OSPD_TEST_VERSITYGW",
		args: func(address, dir string) []string {
			return []string{"--quiet", "--keep-alive", "--port", address, "posix", filepath.Join(dir, "data")}
		},
		env: func(s *Server) []string {
			return []string{"ROOT_ACCESS_KEY=" + s.AccessKeyID, "ROOT_SECRET_KEY=" + s.SecretAccessKey, "VGW_REGION=" + s.Region}
		},
	}
}

// Kinds are all there are.
func Kinds() []Kind { return []Kind{MinIO(), Versitygw()} }

// program finds the program: where the environment says, among the tools that
// .ci/run caches, on PATH.
func (k Kind) program() (string, error) {
	if path := os.Getenv(k.variable); path != "" {
		return path, nil
	}
	cached, err := k.cached()
	if err == nil {
		if _, err = os.Stat(cached); err == nil {
			return cached, nil
		}
	}
	if path, err := exec.LookPath(k.Name); err == nil {
		return path, nil
	}
	return "", fmt.Errorf("these tests need %s, in $%s, at %s or on PATH: GOBIN=%s go install %s@%s (minutes, once)",
		k.Name, k.variable, cached, filepath.Dir(cached), k.module, k.Version)
}

func (k Kind) cached() (string, error) {
	cache, err := os.UserCacheDir()
	return filepath.Join(cache, "osproxy-ci", k.Name+"-"+k.Version, k.Name), err
}
