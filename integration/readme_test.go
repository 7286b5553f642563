package integration_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// shellBlocks are the commands of the README that a newcomer is told to run.
var shellBlocks = regexp.MustCompile("(?s)<!-- test: ([a-z]+) -->\n```sh\n(.*?)```")

// goBlock is the code that the README tells people to embed.
var goBlock = regexp.MustCompile("(?s)<!-- from: ([a-z_/.]+) -->\n```go\n(.*?)```")

func readme(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestReadmeCommands runs the README's commands to the letter. They use fixed
// ports and build into the checkout, so they run where that is asked for.
func TestReadmeCommands(t *testing.T) {
	if os.Getenv("MINTONCE_README") != "1" {
		t.Skip("runs the README's commands, which use fixed ports: set MINTONCE_README=1")
	}
	blocks := shellBlocks.FindAllStringSubmatch(readme(t), -1)
	if len(blocks) < 2 {
		t.Fatalf("the README has %d blocks of commands to test, want at least 2", len(blocks))
	}
	for _, block := range blocks {
		t.Run(block[1], func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
			defer cancel()
			cmd := exec.CommandContext(ctx, "bash", "-euo", "pipefail", "-c", block[2])
			cmd.Dir = ".."
			cmd.Env = append(os.Environ(), "XDG_STATE_HOME="+t.TempDir())
			cmd.WaitDelay = 5 * time.Second
			out, err := cmd.CombinedOutput()
			t.Logf("%s", out)
			if err != nil {
				t.Fatalf("%v", err)
			}
		})
	}
}

// TestReadmeCode: what the README quotes is code that compiles.
func TestReadmeCode(t *testing.T) {
	blocks := goBlock.FindAllStringSubmatch(readme(t), -1)
	if len(blocks) == 0 {
		t.Fatal("the README quotes no code")
	}
	for _, block := range blocks {
		source, err := os.ReadFile(filepath.Join("..", block[1]))
		if err != nil {
			t.Fatal(err)
		}
		quoted := "\t" + strings.ReplaceAll(strings.TrimSpace(block[2]), "\n", "\n\t")
		if !strings.Contains(string(source), strings.ReplaceAll(quoted, "\n\t\n", "\n\n")) {
			t.Errorf("%s does not contain what the README quotes:\n%s", block[1], quoted)
		}
	}
}
