package config

import (
	"fmt"
	"io"
	"os"
	"strings"
)

// secret reads the secret of the token at key.
func (c *Config) secret(key string, s secret) (value, warning string, err error) {
	if *s.file != "" {
		return c.readSecret(key+".secret_file", *s.file, s.what)
	}
	value = os.Getenv(s.variable)
	switch {
	case value == "":
		return "", "", c.wrong(key, "has no secret", "name a file that holds the %s with secret_file%s, or set %s", s.what, s.flag(), s.variable)
	case c.withoutFile(s.variable) > 1:
		return "", "", c.wrong(key, "has no secret_file", "%s is for one token only, and several have none: name a file for each", s.variable)
	}
	return strings.TrimSpace(value), "", nil
}

// flag is the one that names the file, if there is one.
func (s secret) flag() string {
	if s.variable == SecretVariable {
		return " or --wechat-secret-file"
	}
	return ""
}

// withoutFile counts the tokens whose secret would come from the variable.
func (c *Config) withoutFile(variable string) int {
	n := 0
	for _, t := range c.Tokens {
		if o := t.origin(); o != nil && o.secret() != nil && o.secret().variable == variable && *o.secret().file == "" {
			n++
		}
	}
	return n
}

// maxSecret bounds a secret file. An AppSecret has 32 characters.
const maxSecret = 4 << 10

func (c *Config) readSecret(key, file, what string) (value, warning string, err error) {
	return c.readPrivate(key, file, what, maxSecret)
}

// readPrivate reads a file that nobody else should be able to read.
func (c *Config) readPrivate(key, file, what string, limit int64) (value, warning string, err error) {
	unreadable := func(err error) error {
		return c.wrong(key, "cannot be read: "+file+" ("+reason(err)+")", "let it hold the %s, readable by user %d alone", what, os.Getuid())
	}
	f, err := os.Open(file)
	if err != nil {
		return "", "", unreadable(err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return "", "", unreadable(err)
	}
	data, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err != nil {
		return "", "", unreadable(err)
	}
	value = strings.TrimSpace(string(data))
	switch {
	case int64(len(data)) > limit:
		return "", "", c.wrong(key, "is too large for a secret: "+file, "let it hold the %s alone", what)
	case value == "":
		return "", "", c.wrong(key, "is empty: "+file, "write the %s into it", what)
	}
	if mode := info.Mode().Perm(); info.Mode().IsRegular() && mode&0o077 != 0 {
		warning = fmt.Sprintf("%s: %s has permissions %04o, so that others may read the secret: chmod 600 it", c.at(key), file, mode)
	}
	return value, warning, nil
}
