package daemon

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const clusterDB = "db: postgres://ospd:hunter2@127.0.0.1/ospd\n"

// clusterKey is a key that is long enough, and not to be repeated by an error.
var clusterKey = "hunter2" + strings.Repeat("x", 25)

func TestClusterConfig(t *testing.T) {
	pem := filepath.Join(t.TempDir(), "pem")
	if err := os.WriteFile(pem, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	files := "tls: {cert: " + pem + ", key: " + pem + ", ca: " + pem + "}"
	key := "key: " + clusterKey
	for name, c := range map[string]struct{ cluster, address string }{
		"none":                   {"{}", ""},
		"a key on loopback":      {"{peer_listen: '127.0.0.1:9101', " + key + "}", "127.0.0.1:9101"},
		"a key on localhost":     {"{peer_listen: 'localhost:9101', " + key + "}", "localhost:9101"},
		"certificates":           {"{peer_listen: '10.0.0.1:9101', " + files + "}", "10.0.0.1:9101"},
		"an address for peers":   {"{peer_listen: '0.0.0.0:9101', advertise: 'one.example.com:9102', " + files + "}", "one.example.com:9102"},
		"all addresses, and one": {"{peer_listen: ':9101', advertise: '10.0.0.1:9101', " + files + "}", "10.0.0.1:9101"},
	} {
		t.Run(name, func(t *testing.T) {
			cfg, err := LoadConfig(write(t, clusterDB+"cluster: "+c.cluster), nil, map[string]any{"data": t.TempDir()})
			if err != nil || cfg.Cluster.on() != (c.address != "") || cfg.Cluster.address() != c.address {
				t.Errorf("got %+v, %v", cfg.Cluster, err)
			}
		})
	}
	cfg, err := LoadConfig("", []string{"OSPD_CLUSTER__PEER_LISTEN=127.0.0.1:9101", "OSPD_CLUSTER__KEY=" + clusterKey, "OSPD_DB=postgres://127.0.0.1/ospd"}, nil)
	if err != nil || !cfg.Cluster.on() || cfg.Cluster.Key.Reveal() != clusterKey {
		t.Errorf("from the environment: %+v, %v", cfg.Cluster, err)
	}
	cfg, err = LoadConfig("", []string{"OSPD_CLUSTER__TLS__CERT=" + pem, "OSPD_CLUSTER__TLS__KEY=" + pem, "OSPD_CLUSTER__TLS__CA=" + pem,
		"OSPD_CLUSTER__PEER_LISTEN=10.0.0.1:9101", "OSPD_DB=postgres://127.0.0.1/ospd"}, nil)
	if err != nil || cfg.Cluster.TLS != (PeerCertConfig{Cert: pem, Key: pem, CA: pem}) {
		t.Errorf("certificates from the environment: %+v, %v", cfg.Cluster, err)
	}
}

func TestRefusedClusters(t *testing.T) {
	key := "key: " + clusterKey
	for name, c := range map[string]struct{ text, says string }{
		"on SQLite":                {"cluster: {peer_listen: '127.0.0.1:9101', " + key + "}", "Postgres"},
		"no listener":              {clusterDB + "cluster: {" + key + "}", "cluster.peer_listen: is missing"},
		"no port":                  {clusterDB + "cluster: {peer_listen: 127.0.0.1, " + key + "}", "cluster.peer_listen"},
		"any port":                 {clusterDB + "cluster: {peer_listen: '127.0.0.1:0', " + key + "}", "1 to 65535"},
		"a name to listen on":      {clusterDB + "cluster: {peer_listen: 'one.example.com:9101', " + key + "}", "IP address"},
		"everywhere":               {clusterDB + "cluster: {peer_listen: '0.0.0.0:9101', " + key + "}", "cluster.advertise: is missing"},
		"everywhere, in version 6": {clusterDB + "cluster: {peer_listen: '[::]:9101', " + key + "}", "cluster.advertise: is missing"},
		"advertised everywhere":    {clusterDB + "cluster: {peer_listen: '0.0.0.0:9101', advertise: '0.0.0.0:9101', " + key + "}", "no address at which"},
		"advertised without port":  {clusterDB + "cluster: {peer_listen: '127.0.0.1:9101', advertise: 127.0.0.1, " + key + "}", "cluster.advertise"},
		"neither key nor TLS":      {clusterDB + "cluster: {peer_listen: '127.0.0.1:9101'}", "neither key nor tls"},
		"both key and TLS":         {clusterDB + "cluster: {peer_listen: '127.0.0.1:9101', " + key + ", tls: {cert: /a, key: /b, ca: /c}}", "both key and tls"},
		"a short key":              {clusterDB + "cluster: {peer_listen: '127.0.0.1:9101', key: hunter2}", "7 characters and needs 32"},
		"a key off loopback":       {clusterDB + "cluster: {peer_listen: '10.0.0.1:9101', " + key + "}", "10.0.0.1:9101 can be reached from other machines"},
		"a key for others":         {clusterDB + "cluster: {peer_listen: '127.0.0.1:9101', advertise: 'one.example.com:9101', " + key + "}", "one.example.com:9101 can be reached"},
		"a file too few":           {clusterDB + "cluster: {peer_listen: '127.0.0.1:9101', tls: {cert: /nowhere/cert}}", "cluster.tls.ca: is missing"},
		"a file that is not there": {clusterDB + "cluster: {peer_listen: '127.0.0.1:9101', tls: {cert: /nowhere/cert, key: /nowhere/key, ca: /nowhere/ca}}", "cluster.tls.cert: open"},
		"files yet to be made":     {clusterDB + "cluster: {peer_listen: '127.0.0.1:9101', tls: {cert: /nowhere/cert, key: /nowhere/key, ca: /nowhere/ca}}", "ospd peer-cert --ca FOLDER makes"},
		"a key nobody knows":       {clusterDB + "cluster: {peers: 3}", "cluster.peers"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := LoadConfig(write(t, c.text), nil, map[string]any{"data": t.TempDir()})
			if err == nil || !strings.Contains(err.Error(), c.says) {
				t.Fatalf("got %v, want an error that says %q", err, c.says)
			}
			if strings.Contains(err.Error(), "hunter2") {
				t.Errorf("the error repeats a secret: %v", err)
			}
		})
	}
}
