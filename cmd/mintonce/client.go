package main

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"strings"

	"github.com/mintonce/mintonce/internal/config"
	"github.com/mintonce/mintonce/internal/plain"
	"github.com/spf13/cobra"
	"go.yaml.in/yaml/v4"
)

func (a *app) clientCommand() *cobra.Command {
	var tokens, rights []string
	var rate float64
	var keyFile string
	cmd := &cobra.Command{
		Use:   "client NAME --tokens LIST",
		Short: "Make a key for a client of the HTTP API",
		Long: `client makes the key of an application or a person who uses the HTTP API, and
the entry for the list clients of the config file. It changes no file and asks
nobody. The config keeps the key's hash only, so the key is shown this once: to
replace it, make another, and exchange the key_sha256 of the entry.

The key goes to stdout, alone, and the entry to stderr. With --key-file, the key
goes to a new file that only its owner can read, and the entry to stdout.

With --config, it checks that the entry fits into that file.`,
		Example: `  mintonce client php-shop --tokens shop
  mintonce client oncall --tokens '*' --rights read,report,operate
  mintonce client node --tokens 'merchant-*' --key-file node.key >> clients.yml`,
		Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) != 1 {
				return misused("client needs one NAME, such as that of the application: see %s --help", cmd.CommandPath())
			}
			client := config.Client{Name: args[0], Tokens: tokens, Rate: rate}
			for _, right := range rights {
				client.Rights = append(client.Rights, config.Right(right))
			}
			key := config.NewKey()
			client.KeySHA256 = config.HashKey(key)
			if err := a.checkNewClient(client); err != nil {
				return err
			}
			a.begun = true
			return a.printClient(client, key, keyFile)
		},
	}
	cmd.Flags().StringSliceVar(&tokens, "tokens", nil, "`LIST` of the tokens that it may use: names, or\npatterns such as merchant-* (needed)")
	cmd.Flags().StringSliceVar(&rights, "rights", nil, "`LIST` of read, report and operate\n(default read,report)")
	cmd.Flags().Float64Var(&rate, "rate", 0, "`REQUESTS` a second that it may send\n(default 1000)")
	cmd.Flags().StringVar(&keyFile, "key-file", "", "`FILE` to write the key to; it must not exist")
	return cmd
}

// checkNewClient finds what is wrong with a client, in the words of the command
// line. Without a config file, nobody knows which tokens there are.
func (a *app) checkNewClient(client config.Client) error {
	if len(client.Tokens) == 0 {
		return misused("client needs --tokens: the names of the tokens that it may use, or '*' for all")
	}
	c := &config.Config{}
	if a.flags.config != "" {
		var err error
		if c, err = a.settings(""); err != nil {
			return err
		}
		if err := a.ready(c, slog.LevelWarn); err != nil {
			return err
		}
		for _, other := range c.Clients {
			if other.Name == client.Name {
				return misused("%s has a client called %s: choose another name, or remove its entry first", a.flags.config, client.Name)
			}
		}
	}
	return c.CheckClient(client)
}

// clientEntry is a client as the config file has it.
type clientEntry struct {
	Name      string   `yaml:"name"`
	KeySHA256 string   `yaml:"key_sha256"`
	Tokens    []string `yaml:"tokens,flow"`
	Rights    []string `yaml:"rights,flow,omitempty"`
	Rate      float64  `yaml:"rate,omitempty"`
}

func (a *app) printClient(client config.Client, key, keyFile string) error {
	e := clientEntry{Name: client.Name, KeySHA256: client.KeySHA256, Tokens: client.Tokens, Rate: client.Rate}
	for _, right := range client.Rights {
		e.Rights = append(e.Rights, string(right))
	}
	text, err := yaml.Dump([]clientEntry{e}, yaml.WithIndent(2))
	if err != nil {
		return err
	}
	indented := "  " + strings.ReplaceAll(strings.TrimSpace(string(text)), "\n", "\n  ")
	if keyFile == "" {
		fmt.Fprintf(a.stderr, "# To stdout goes the key, this once. Into the config file, below clients:\n%s\n", indented)
		_, err := fmt.Fprintln(a.stdout, key)
		return err
	}
	if err := writeKey(keyFile, key); err != nil {
		return err
	}
	_, err = fmt.Fprintln(a.stdout, indented)
	return err
}

// writeKey never replaces a file: it might be somebody's only copy of a key.
func writeKey(file, key string) error {
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%s exists: choose another file for the key", file)
	}
	if err == nil {
		_, err = fmt.Fprintln(f, key)
		if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
			os.Remove(file) // half a key would be in the way of the next try
		}
	}
	if err != nil {
		return fmt.Errorf("the key cannot be written: %s", plain.Text(err))
	}
	return nil
}
