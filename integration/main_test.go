package integration_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"github.com/redis/go-redis/v9/logging"
)

// built is where the tests keep what they build.
var built string

func TestMain(m *testing.M) {
	logging.Disable() // go-redis writes what it cannot reach to stderr
	if text := os.Getenv(replicaVariable); text != "" {
		os.Exit(replicate(text))
	}
	dir, err := os.MkdirTemp("", "mintonce-integration-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	built = dir
	code := m.Run()
	os.RemoveAll(dir)
	os.Exit(code)
}

// command is the path of the command, built once.
var command = sync.OnceValues(func() (string, error) {
	args := []string{"build"}
	if raceDetector {
		args = append(args, "-race")
	}
	return build("mintonce", args...)
})

// build runs "go build" for the command with more arguments.
func build(name string, args ...string) (string, error) {
	path := filepath.Join(built, name)
	args = append(args, "-o", path, "github.com/mintonce/mintonce/cmd/mintonce")
	out, err := exec.Command("go", args...).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("build the command: %w\n%s", err, out)
	}
	return path, nil
}

func commandPath(t testing.TB) string {
	t.Helper()
	path, err := command()
	if err != nil {
		t.Fatal(err)
	}
	return path
}
