package main

import (
	"context"
	"fmt"
	"slices"
)

// work is one thing that is measured.
type work struct {
	// name is what the command line calls it.
	name string
	// oursAlone says that no peer does this work.
	oursAlone bool
	// behind names the S3 server that ours has behind it, which its client uses
	// directly beside; "" for works of ours on the local disk.
	behind string
	// from is the store of ours in which files lie that are moved to the S3
	// server: onDisk, or onSource for a second server of the same kind; "" where
	// none are.
	from string
	// nodes are what ours is where it is a cluster; nil where it is alone.
	nodes *plan
	// measure does the work in rounds and writes what it took into the table.
	measure func(ctx context.Context, b *bench) (*table, error)
}

// allWorks are the works in the order of the report.
func allWorks() []work {
	return slices.Concat([]work{
		putWork(),
		getWork(),
		catWork(),
		putSmallWork(),
		getSmallWork(),
		putAtOnceWork(),
		slowWork(),
		requestsWork(),
		instantWork(),
		commitWork(),
		startWork(),
		recordsWork(),
		scaleWork(),
		jobsWork(),
		behindPutWork("minio"), behindGetWork("minio"), behindPutSmallWork("minio"), behindGetSmallWork("minio"),
		composeWork("minio"), migrateWork("minio", onDisk), migrateSmallWork("minio", onDisk), migrateWork("minio", onSource), migrateSmallWork("minio", onSource),
		behindPutWork("versitygw"), behindGetWork("versitygw"), behindPutSmallWork("versitygw"), behindGetSmallWork("versitygw"),
		composeWork("versitygw"), migrateWork("versitygw", onDisk), migrateSmallWork("versitygw", onDisk), migrateWork("versitygw", onSource), migrateSmallWork("versitygw", onSource),
	}, peerWorks(false), peerWorks(true), []work{nodesWork(), deathWork(false), deathWork(true)})
}

func workNames() []string {
	var names []string
	for _, w := range allWorks() {
		names = append(names, w.name)
	}
	return names
}

// names are base names for n files.
func names(n int) []string {
	var all []string
	for i := range n {
		all = append(all, fmt.Sprintf("f%05d", i))
	}
	return all
}
