package config_test

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/mintonce/mintonce/internal/config"
)

// TestListenAndTLS: what is wrong with them is found before anything is opened.
func TestListenAndTLS(t *testing.T) {
	const token = "tokens: {a: {wechat: {appid: wx1}}}\n"
	key := "key_sha256: " + strings.Repeat("0", 64)
	for text, want := range map[string]string{
		"listen: 127.0.0.1:0": "",
		"listen: unix:/s":     "",
		"listen: 0.0.0.0:0":   "c.yml:1: listen can be reached by others than this machine, and no clients are set",
		"listen: 0.0.0.0:0\nclients: [{name: a, " + key + ", tokens: [a]}]": "",
		"listen: :0\ntls: {cert_file: a, key_file: b, client_ca_file: c}":   "c.yml:1: listen can be reached by others",
		"listen: 127.0.0.1":                "c.yml:1: listen is not of the form HOST:PORT: use",
		"listen: unix:@a":                  "listen is an abstract socket",
		"listen_mode: \"0660\"":            "",
		"listen_mode: 0640":                "",
		"listen_mode: 0060":                "listen_mode is not the mode of a socket",
		"listen_mode: rw":                  "listen_mode is not the mode of a socket",
		"tls: {cert_file: a, key_file: b}": "",
		"tls: {cert_file: a}":              "tls.key_file is missing",
		"tls: {key_file: a}":               "tls.cert_file is missing",
		"tls: {client_ca_file: a}":         "tls.cert_file is missing",
		"tls:":                             "",
		"listen: unix:/s\ntls: {cert_file: a, key_file: b}":                                   "tls is of no use on a Unix socket",
		"clients: [{name: a, cert_name: a.example, tokens: [a]}]":                             "clients[1].cert_name needs certificates of clients",
		"clients: [{name: a, tokens: [a]}]":                                                   "clients[1].key_sha256 is not 64 hex digits: make a key and its entry with: mintonce client a",
		"clients: [{name: a, " + key + ", tokens: [a]}, {name: b, " + key + ", tokens: [a]}]": "clients[2].key_sha256 is that of a, too",
		"tls: {cert_file: a, key_file: b, client_ca_file: c}\nclients: [{name: a, cert_name: x, tokens: [a]}, {name: b, cert_name: y, tokens: [a]}]": "",
		"tls: {cert_file: a, key_file: b, client_ca_file: c}\nclients: [{name: a, cert_name: x, tokens: [a]}, {name: b, cert_name: x, tokens: [a]}]": "clients[2].cert_name is that of a, too",
		"tls: {cert_file: a, key_file: b, client_ca_file: c}\nclients: [{name: a, cert_name: x, key_sha256: y, tokens: [a]}]":                        "clients[1].key_sha256 is not 64 hex digits",
	} {
		c, err := config.Parse("c.yml", []byte(text+"\n"+token))
		if err == nil {
			err = c.Check()
		}
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s\n is %v, want %q", text, err, want)
		}
	}
}

// TestPathsAreTakenFromTheFile: those of the socket and of the certificate.
func TestPathsAreTakenFromTheFile(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "c.yml")
	write(t, file, "listen: unix:s.sock\ntls: {cert_file: a, key_file: /b, client_ca_file: c/d}\n", 0o600)
	c, err := config.Read(file)
	if err != nil {
		t.Fatal(err)
	}
	if want := (config.TLS{CertFile: dir + "/a", KeyFile: "/b", ClientCAFile: dir + "/c/d"}); c.TLS != want || c.Listen != "unix:"+dir+"/s.sock" {
		t.Errorf("%+v, %s", c.TLS, c.Listen)
	}
}
