package main

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/mintonce/mintonce/internal/config"
)

const exampleFile = "mintonce.example.yml"

func TestExampleConfig(t *testing.T) {
	c, err := config.Read(exampleFile)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Check(); err != nil {
		t.Fatal(err)
	}
	if len(c.Tokens) != 4 || len(c.Clients) != 3 || c.Store == "" || c.Fallback == "" || c.Listen == "" {
		t.Errorf("it shows less than it should: %+v", c)
	}
	if !c.Clients[1].Has(config.MayOperate) || c.Clients[0].Has(config.MayOperate) {
		t.Errorf("rights are not those of the comments: %+v", c.Clients)
	}
}

// TestExampleConfigHasEveryKey: the error for an unknown key lists all that
// are known at its place.
func TestExampleConfigHasEveryKey(t *testing.T) {
	example, err := os.ReadFile(exampleFile)
	if err != nil {
		t.Fatal(err)
	}
	for _, place := range []string{"zzzzzzzz: 1", "tokens: {a: {zzzzzzzz: 1}}", "seal: {zzzzzzzz: 1}", "tokens: {a: {wechat: {zzzzzzzz: 1}}}", "tokens: {a: {wecom: {zzzzzzzz: 1}}}", "tokens: {a: {ticket: {zzzzzzzz: 1}}}", "clients: [{zzzzzzzz: 1}]", "tls: {zzzzzzzz: 1}"} {
		_, err := config.Parse("c.yml", []byte(place))
		_, list, found := strings.Cut(err.Error(), "the keys are ")
		if !found {
			t.Fatalf("%s: %v", place, err)
		}
		for _, key := range strings.Split(list, ", ") {
			if !regexp.MustCompile(`(?m)^[ #-]*` + key + `:`).Match(example) {
				t.Errorf("%s lacks the key %s", exampleFile, key)
			}
		}
	}
}
