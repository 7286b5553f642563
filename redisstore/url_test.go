package redisstore_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/mintonce/mintonce/redisstore"
)

func TestParseURL(t *testing.T) {
	tests := []struct{ url, want string }{ // addresses, database, user, password, master, cluster, TLS
		{"redis://h", "[h:6379] 0 '' '' '' false false"},
		{"redis://h/", "[h:6379] 0 '' '' '' false false"},
		{"redis://h:1/15", "[h:1] 15 '' '' '' false false"},
		{"redis://127.0.0.1:65535/0", "[127.0.0.1:65535] 0 '' '' '' false false"},
		{"redis://[::1]:7/0", "[[::1]:7] 0 '' '' '' false false"},
		{"redis://[::1]", "[[::1]:6379] 0 '' '' '' false false"},
		{"rediss://h:1", "[h:1] 0 '' '' '' false true"},
		{"redis://:p@h", "[h:6379] 0 '' 'p' '' false false"},
		{"redis://u:p@h", "[h:6379] 0 'u' 'p' '' false false"},
		{"redis://u@h", "[h:6379] 0 'u' '' '' false false"},
		{"redis://u:p%2F%3F%40%25:x@h", "[h:6379] 0 'u' 'p/?@%:x' '' false false"},
		{"redis://u:p@x@h", "[h:6379] 0 'u' 'p@x' '' false false"},
		{"redis+sentinel://h/main", "[h:26379] 0 '' '' 'main' false false"},
		{"redis+sentinel://u:p@h:1,i:2,[::1]:3/main/4", "[h:1 i:2 [::1]:3] 4 'u' 'p' 'main' false false"},
		{"rediss+sentinel://h/main", "[h:26379] 0 '' '' 'main' false true"},
		{"redis+cluster://h:1,i", "[h:1 i:6379] 0 '' '' '' true false"},
		{"rediss+cluster://:p@h/", "[h:6379] 0 '' 'p' '' true true"},
	}
	for _, test := range tests {
		o, err := redisstore.ParseURL(test.url)
		if err != nil {
			t.Errorf("ParseURL(%q): %v", test.url, err)
			continue
		}
		got := fmt.Sprintf("%v %d '%s' '%s' '%s' %t %t", o.Addrs, o.DB, o.Username, o.Password, o.MasterName, o.IsClusterMode, o.TLSConfig != nil)
		if got != test.want {
			t.Errorf("ParseURL(%q) is %s, want %s", test.url, got, test.want)
		}
	}
}

func TestParseURLRefuses(t *testing.T) {
	const pw = "hunter2" // in every place where a mistake may put a password
	tests := []struct{ url, part string }{
		{"", "scheme"},
		{pw, "scheme"},
		{"redis:" + pw + "@h", "scheme"},
		{pw + "://h", "scheme"},
		{"http://u:" + pw + "@h", "scheme"},
		{"redis+" + pw + "://h", "scheme"},
		{"redisx://h", "scheme"},
		{"REDIS://h", "scheme"},
		{"redis://", "host 1"},
		{"redis://:" + pw + "@", "host 1"},
		{"redis://:" + pw + "@:1", "host 1"},
		{"redis://:" + pw, "host 1"},
		{"redis://u:" + pw, "host 1"},
		{"redis://h:" + pw, "host 1"},
		{"redis://h:0", "host 1"},
		{"redis://h:65536", "host 1"},
		{"redis://h:-1", "host 1"},
		{"redis://h:", "host 1"},
		{"redis://h:1:" + pw, "host 1"},
		{"redis://::1", "host 1"},
		{"redis://:" + pw + "/x@h", "password"},
		{"redis://:" + pw + "?x@h", "end"},
		{"redis://:" + pw + "#x@h", "end"},
		{"redis://:" + pw + "%zz@h", "password"},
		{"redis://" + pw + "%@h", "password"},
		{"redis://h/" + pw, "database"},
		{"redis://h/-1", "database"},
		{"redis://h/1/2", "database"},
		{"redis://h//", "database"},
		{"redis://h/0?password=" + pw, "end"},
		{"redis://h:1,i:2", "host"},
		{"redis+sentinel://h", "master"},
		{"redis+sentinel://:" + pw + "@h/", "master"},
		{"redis+sentinel://h//1", "master"},
		{"redis+sentinel://h/main/x", "database"},
		{"redis+sentinel://h,/main", "host 2"},
		{"redis+sentinel://h,:" + pw + "/main", "host 2"},
		{"redis+cluster://h/1", "path"},
		{"redis+cluster://h,i:x", "host 2"},
	}
	for _, test := range tests {
		client, err := redisstore.Open(test.url)
		var wrong *redisstore.URLError
		if !errors.As(err, &wrong) || !strings.Contains(wrong.Part, test.part) || wrong.Problem == "" || wrong.Remedy == "" {
			t.Errorf("Open(%q): %v; want a *URLError about the %s", test.url, err, test.part)
		}
		if client != nil {
			t.Errorf("Open(%q) returned a client with an error", test.url)
		}
		if text := fmt.Sprintf("%v %+v %#v", err, err, err); strings.Contains(text, pw) {
			t.Errorf("Open(%q) shows the password: %s", test.url, text)
		}
	}
}
