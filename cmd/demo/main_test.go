package main

import (
	"bytes"
	"context"
	"io"
	"os"
	"strings"
	"testing"
)

// demoVariable makes the test's program the demo itself, so that tests can see
// it from outside.
const demoVariable = "MINTONCE_DEMO_UNDER_TEST"

// TestMain lets this program be a replica or the demo: both are processes of
// their own in the tests as well.
func TestMain(m *testing.M) {
	if os.Getenv(replicaVariable) != "" || os.Getenv(demoVariable) != "" {
		main()
	}
	os.Exit(m.Run())
}

// command runs the demo in this process, and returns what it said.
func command(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, complaints bytes.Buffer
	code = run(context.Background(), args, strings.NewReader(""), &out, &complaints)
	return code, out.String(), complaints.String()
}

func TestWrongFlagsAreUsageErrorsThatNameTheBound(t *testing.T) {
	for _, test := range []struct {
		args []string
		says string
	}{
		{[]string{"--replicas", "1"}, "--replicas is 1: it must be from 2 to 20"},
		{[]string{"--replicas", "21"}, "--replicas is 21: it must be from 2 to 20"},
		{[]string{"--rate", "0"}, "--rate is 0: it must be from 1 to 50"},
		{[]string{"--rate", "51"}, "--rate is 51: it must be from 1 to 50"},
		{[]string{"--seconds", "15"}, "--seconds is 15: it must be from 16 to 300"},
		{[]string{"--seconds", "301"}, "--seconds is 301: it must be from 16 to 300"},
		{[]string{"--seconds", "2.5"}, `invalid value "2.5"`},
		{[]string{"--no-such-flag"}, "not defined"},
		{[]string{"start"}, `"start" is not a flag`},
		{[]string{"--redis", "localhost"}, "--redis: redisstore: store URL: the scheme is missing"},
	} {
		t.Run(strings.Join(test.args, " "), func(t *testing.T) {
			code, stdout, stderr := command(t, test.args...)
			if code != 2 || !strings.Contains(stderr, test.says) || !strings.Contains(stderr, "--help") {
				t.Errorf("exit code %d, stderr %q; want 2 and %q", code, stderr, test.says)
			}
			if stdout != "" {
				t.Errorf("stdout is %q, want nothing", stdout)
			}
		})
	}
}

func TestThePasswordOfARedisURLIsNotShown(t *testing.T) {
	for _, url := range []string{
		"redis://user:hidden%2Zhidden@127.0.0.1:6379/0",
		"redis://user:hidden/hidden@127.0.0.1:6379/0",
		"redis://user:hidden@127.0.0.1:1/0", // nobody listens there
	} {
		code, stdout, stderr := command(t, "--redis", url)
		if code == 0 || strings.Contains(stdout+stderr, "hidden") {
			t.Errorf("%s: said %q and %q", url, stdout, stderr)
		}
	}
}

func TestARedisThatDoesNotAnswerIsAFailureWithARemedy(t *testing.T) {
	code, _, stderr := command(t, "--redis", "redis://127.0.0.1:1/0")
	if code != 1 || !strings.Contains(stderr, "no answer from Redis at 127.0.0.1:1") || !strings.Contains(stderr, "leave --redis out") {
		t.Errorf("exit code %d, stderr %q", code, stderr)
	}
}

func TestHelpNamesEveryFlagAndDefault(t *testing.T) {
	code, stdout, stderr := command(t, "--help")
	if code != 0 || stderr != "" {
		t.Errorf("exit code %d, stderr %q", code, stderr)
	}
	for _, text := range []string{
		"--replicas N", "2 to 20 (default 6)", "--rate N", "1 to 50 (default 2)", "--seconds N", "16 to 300 (default 22)",
		"--redis URL", "--keep", "Examples:", "go run ./cmd/demo",
	} {
		if !strings.Contains(stdout, text) {
			t.Errorf("the help lacks %q", text)
		}
	}
	s, err := parseFlags(nil)
	if err != nil || s.replicas != 6 || s.rate != 2 || s.at(endAt).Seconds() != 22 {
		t.Errorf("the defaults are %+v, %v; the help says otherwise", s, err)
	}
}

func TestAReplicaNeedsOrders(t *testing.T) {
	var stderr bytes.Buffer
	if code := runReplica(strings.NewReader("no orders\n"), io.Discard, &stderr); code != 2 || !strings.Contains(stderr.String(), replicaVariable) {
		t.Errorf("exit code %d, stderr %q", code, stderr.String())
	}
}
