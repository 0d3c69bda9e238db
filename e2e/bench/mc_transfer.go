package main

import (
	"context"
	"os/exec"
)

// These are for S3 servers whose client is mc.

// copyWithin copies an object to another name of the bucket, on the server's
// side.
func (s *s3System) copyWithin(from, to string) job {
	return s.mc(nil, "cp", "bench/"+s3Bucket+"/"+from, "bench/"+s3Bucket+"/"+to)
}

// mirror copies a folder of this machine into one of the bucket.
func (s *s3System) mirror(dir, to string) job {
	return s.mc(nil, "mirror", dir, "bench/"+s3Bucket+"/"+to)
}

// mirrorFrom copies a folder of another server's bucket into one of the bucket.
func (s *s3System) mirrorFrom(source *s3System, from, to string) job {
	return s.mc(source, "mirror", "source/"+s3Bucket+"/"+from, "bench/"+s3Bucket+"/"+to)
}

// empty removes a folder of the bucket with all that is in it.
func (s *s3System) empty(ctx context.Context, dir string) error {
	_, err := s.mc(nil, "rm", "--recursive", "--force", "bench/"+s3Bucket+"/"+dir+"/")(ctx)
	return err
}

// mc runs the client, which knows this server as bench and, where there is one,
// another as source.
func (s *s3System) mc(source *s3System, args ...string) job {
	return func(ctx context.Context) (cpuTime, error) {
		c := exec.CommandContext(ctx, "mc", append([]string{"--quiet"}, args...)...)
		c.Env = append(c.Environ(), mc{}.env(s.host, s.home)...)
		if source != nil {
			c.Env = append(c.Env, "MC_HOST_source="+mcHost(source.host))
		}
		return command(c)(ctx)
	}
}
