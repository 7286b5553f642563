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

// Read reads a config file. Relative paths in it are taken from its folder.
func Read(file string) (Config, error) {
	f, err := os.Open(file)
	if err != nil {
		remedy := "check the path given as --config or MINTONCE_CONFIG"
		if errors.Is(err, fs.ErrPermission) {
			remedy = fmt.Sprintf("let user %d read it", os.Getuid())
		}
		return Config{}, &Error{file, "cannot be read (" + reason(err) + ")", remedy}
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxSize+1))
	if err != nil {
		return Config{}, &Error{file, "cannot be read (" + reason(err) + ")", "check the path given as --config or MINTONCE_CONFIG"}
	}
	c, err := Parse(file, data)
	if err != nil {
		return Config{}, err
	}
	return c, c.anchor(filepath.Dir(file))
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
	if len(data) > maxSize {
		return Config{}, &Error{file, fmt.Sprintf("is larger than %d MiB", maxSize>>20), "is it the config file?"}
	}
	c := Config{}
	if len(bytes.TrimSpace(data)) == 0 {
		return c, nil
	}
	var document yaml.Node
	if err := yaml.Load(data, &document); err != nil {
		return Config{}, syntaxError(file, err)
	}
	if document.Kind != yaml.DocumentNode || len(document.Content) != 1 {
		return Config{}, &Error{file, "holds no YAML mapping", "write KEY: VALUE lines; see mintonce.example.yml"}
	}
	r := reader{file: file, config: &c}
	if root := r.node(document.Content[0], ""); !root.empty() {
		r.root(root)
	}
	return c, r.err
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
		"store":      r.text(&c.Store),
		"fallback":   r.text(&c.Fallback),
		"prefix":     r.text(&c.Prefix),
		"instance":   r.text(&c.Instance),
		"listen":     r.text(&c.Listen),
		"log_level":  r.text(&c.LogLevel),
		"log_format": r.text(&c.LogFormat),
		"tokens":     r.tokens,
		"clients":    r.clients,
	})
}

func (r *reader) tokens(n node) {
	r.config.Tokens = make(map[string]Token)
	r.entries(n, func(name string, n node) {
		var t Token
		r.mapping(n, map[string]func(node){
			"wechat": func(n node) {
				t.WeChat = &WeChat{}
				r.mapping(n, map[string]func(node){
					"appid":            r.text(&t.WeChat.AppID),
					"secret_file":      r.text(&t.WeChat.SecretFile),
					"mode":             r.text(&t.WeChat.Mode),
					"api":              r.text(&t.WeChat.API),
					"allow_plain_http": r.boolean(&t.WeChat.AllowPlainHTTP),
				})
			},
		})
		r.config.Tokens[name] = t
	})
}

func (r *reader) clients(n node) {
	r.list(n, func(n node) {
		var c Client
		r.mapping(n, map[string]func(node){
			"name":       r.text(&c.Name),
			"key_sha256": r.text(&c.KeySHA256),
			"tokens":     r.texts(func(s string) { c.Tokens = append(c.Tokens, s) }),
			"rights":     r.texts(func(s string) { c.Rights = append(c.Rights, Right(s)) }),
		})
		r.config.Clients = append(r.config.Clients, c)
	})
}
