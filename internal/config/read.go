package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"go.yaml.in/yaml/v4"
)

// maxSize bounds a config file. It has room for a hundred thousand tokens.
const maxSize = 32 << 20

// Read reads a config file, and the token files that it names. Relative paths
// are taken from the folder of the file in which they stand.
func Read(file string) (Config, error) { return ReadAgain(file, nil) }

// ReadAgain is Read for a process that uses the config before: a token file
// that cannot be used now keeps the tokens that it had then.
func ReadAgain(file string, before *Config) (Config, error) {
	data, err := readFile(file, "check the path given as --config or MINTONCE_CONFIG")
	if err != nil {
		return Config{}, err
	}
	c, err := Parse(file, data)
	if err != nil {
		return Config{}, err
	}
	if err := c.anchor(filepath.Dir(file)); err != nil {
		return Config{}, err
	}
	return c, c.readTokenFiles(before)
}

func readFile(file, remedy string) ([]byte, error) {
	failed := func(err error) error {
		if errors.Is(err, fs.ErrPermission) {
			remedy = fmt.Sprintf("let user %d read it", os.Getuid())
		}
		return &Error{file, "cannot be read (" + reason(err) + ")", remedy}
	}
	f, err := os.Open(file)
	if err != nil {
		return nil, failed(err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxSize+1))
	if err != nil {
		return nil, failed(err)
	}
	if len(data) > maxSize {
		return nil, &Error{file, fmt.Sprintf("is larger than %d MiB", maxSize>>20), "is it the right file?"}
	}
	return data, nil
}

// reason is the cause of an error of the file system, without the path.
func reason(err error) string {
	var path *fs.PathError
	if errors.As(err, &path) {
		return path.Err.Error()
	}
	return err.Error()
}

// Parse reads a config from YAML. Unknown and doubled keys are refused. file is
// for the errors.
func Parse(file string, data []byte) (Config, error) {
	c := Config{file: file}
	r := reader{file: file, config: &c}
	root, err := r.document(data, "")
	if root.yaml != nil {
		r.root(root)
		err = r.err
	}
	if err != nil {
		return Config{}, err
	}
	return c, nil
}

// document returns the root of a YAML file, of which there is none in an empty
// one.
func (r *reader) document(data []byte, path string) (node, error) {
	if len(bytes.TrimSpace(data)) == 0 {
		return node{}, nil
	}
	var document yaml.Node
	if err := yaml.Load(data, &document); err != nil {
		return node{}, syntaxError(r.file, err)
	}
	if document.Kind != yaml.DocumentNode || len(document.Content) != 1 {
		return node{}, &Error{r.file, "holds no YAML mapping", "write KEY: VALUE lines; see mintonce.example.yml"}
	}
	if root := r.node(document.Content[0], path); !root.empty() {
		return root, nil
	}
	return node{}, nil
}

// syntaxError tells what the YAML library says, with its line and without its
// name. It quotes nothing of the file.
func syntaxError(file string, err error) error {
	const remedy = "check indentation and quotes"
	var load *yaml.LoadError
	if !errors.As(err, &load) {
		return &Error{file, "is not YAML", remedy}
	}
	message := strings.TrimPrefix(load.Message, "yaml: ")
	if message == "no documents in stream" {
		return &Error{file, "holds comments only", "write KEY: VALUE lines; see mintonce.example.yml"}
	}
	if load.Mark.Line > 0 {
		file = fmt.Sprintf("%s:%d:", file, load.Mark.Line)
	}
	return &Error{file, "is not YAML (" + strings.ToValidUTF8(strings.Join(strings.Fields(message), " "), "?") + ")", remedy}
}

// root reads the whole file.
func (r *reader) root(n node) {
	c := r.config
	r.mapping(n, map[string]func(node){
		"store":       r.text(&c.Store),
		"fallback":    r.text(&c.Fallback),
		"prefix":      r.text(&c.Prefix),
		"instance":    r.text(&c.Instance),
		"listen":      r.text(&c.Listen),
		"listen_mode": r.text(&c.ListenMode),
		"tls": func(n node) {
			r.mapping(n, map[string]func(node){
				"cert_file":      r.text(&c.TLS.CertFile),
				"key_file":       r.text(&c.TLS.KeyFile),
				"client_ca_file": r.text(&c.TLS.ClientCAFile),
			})
		},
		"log_level":  r.text(&c.LogLevel),
		"log_format": r.text(&c.LogFormat),
		"tokens":     func(n node) { c.Tokens = r.tokens(n) },
		"seal": func(n node) {
			r.mapping(n, map[string]func(node){"key_file": r.text(&c.Seal.KeyFile)})
		},
		"tokens_from": r.text(&c.TokensFrom),
		"clients":     r.clients,
	})
}

func (r *reader) tokens(n node) map[string]Token {
	all := make(map[string]Token)
	r.entries(n, func(name string, n node) {
		t := Token{place: place{file: r.file, line: int32(n.yaml.Line)}}
		r.mapping(n, map[string]func(node){
			"wechat": func(n node) {
				w := &WeChat{}
				t.WeChat = w
				known := r.facts(&t.place, w, &w.AppID, &w.SecretFile, &w.Mode, &w.API)
				known["allow_plain_http"] = r.boolean(&w.AllowPlainHTTP)
				r.mapping(n, known)
			},
			"wecom": func(n node) {
				w := &WeCom{}
				t.WeCom = w
				known := r.facts(&t.place, w, &w.CorpID, &w.Agent, &w.SecretFile, &w.API)
				known["allow_plain_http"] = r.boolean(&w.AllowPlainHTTP)
				r.mapping(n, known)
			},
			"ticket": func(n node) {
				t.Ticket = &Ticket{}
				r.mapping(n, r.facts(&t.place, t.Ticket, &t.Ticket.Of, &t.Ticket.Type))
			},
		})
		all[name] = t
	})
	return all
}

// facts reads the texts of an origin, in the order of its keys.
func (r *reader) facts(p *place, o origin, into ...*string) map[string]func(node) {
	known := make(map[string]func(node))
	for i, key := range o.keys() {
		known[key] = r.fact(into[i], &p.keys[i])
	}
	return known
}

func (r *reader) clients(n node) {
	r.list(n, func(n node) {
		var c Client
		r.mapping(n, map[string]func(node){
			"name":       r.text(&c.Name),
			"key_sha256": r.text(&c.KeySHA256),
			"cert_name":  r.text(&c.CertName),
			"tokens":     r.texts(func(s string) { c.Tokens = append(c.Tokens, s) }),
			"rights":     r.texts(func(s string) { c.Rights = append(c.Rights, Right(s)) }),
			"rate":       r.number(&c.Rate),
			"sdk_margin": r.number(&c.SDKMargin),
		})
		r.config.Clients = append(r.config.Clients, c)
	})
}
