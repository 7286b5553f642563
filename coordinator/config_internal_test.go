package coordinator

import "testing"

// A machine may be called anything; whoever never set Config.Instance must not
// be told that it is wrong.
func TestInstanceOfAnyHost(t *testing.T) {
	for host, want := range map[string]string{
		"web-1":                  "web-1-7",
		"Ann's Mac":              "Ann's-Mac-7",
		"\u670d\u52a1\u5668-1\n": "----1--7",
		"":                       "-7",
	} {
		instance := instanceOf(host, 7)
		if _, err := (Config{Instance: instance}).withDefaults(); err != nil || instance != want {
			t.Errorf("%q became %q, want %q: %v", host, instance, want, err)
		}
	}
}
