package main

import (
	"log/slog"
	"os"
	"slices"

	"github.com/mintonce/mintonce/coordinator"
	"github.com/mintonce/mintonce/internal/config"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// flags are those that every command takes.
type flags struct {
	config    string
	store     string
	fallback  string
	prefix    string
	sealKeys  string
	instance  string
	logLevel  string
	logFormat string

	// One token without a config file.
	name           string
	appID          string
	secretFile     string
	mode           string
	api            string
	allowPlainHTTP bool
}

func getenv(name string) string { return os.Getenv(name) }

func (f *flags) add(to *pflag.FlagSet) {
	to.StringVar(&f.config, "config", "", "`FILE` to read settings from,\nsee mintonce.example.yml")
	to.StringVar(&f.store, "store", "", "`URL` of the records: redis://HOST:PORT/DB,\nrediss://..., redis+sentinel://...,\nredis+cluster://... or file:DIR\n(default file: in the user's state folder)")
	to.StringVar(&f.fallback, "fallback", "", "`file:DIR` of a last-known-good copy, used\nwhile Redis is away")
	to.StringVar(&f.prefix, "prefix", "", "`PREFIX` of all keys, separates fleets\n(default mintonce)")
	to.StringVar(&f.sealKeys, "seal-key-file", "", "`FILE` of the keys that encrypt tokens at rest,\nmade by mintonce seal-key (default none)")
	to.StringVar(&f.instance, "instance", "", "`NAME` of this process in records and history\n(default HOST-PID)")
	to.StringVar(&f.logLevel, "log-level", "", "`LEVEL` debug, info, warn or error (default\ninfo for serve and sandbox, else warn)")
	to.StringVar(&f.logFormat, "log-format", "", "`FORMAT` text or json (default text)")
	to.StringVar(&f.name, "name", "", "`NAME` of one token without a config file")
	to.StringVar(&f.appID, "wechat-appid", "", "its `APPID`; its AppSecret comes from\n"+config.SecretVariable+" or the file")
	to.StringVar(&f.secretFile, "wechat-secret-file", "", "`FILE` that holds its AppSecret")
	to.StringVar(&f.mode, "wechat-mode", "", "`MODE` stable or classic (default stable)")
	to.StringVar(&f.api, "wechat-api", "", "`URL` of the API\n(default https://api.weixin.qq.com)")
	to.BoolVar(&f.allowPlainHTTP, "wechat-allow-plain-http", false, "accept http to another machine, for a\nsandbox in a private network")
}

// settings merges the config file with flags and variables, and checks the
// result. name is the command's NAME, if it has one.
func (a *app) settings(name string) (*config.Config, error) { return a.settingsAgain(name, nil) }

// settingsAgain is settings for a process that uses the config before.
func (a *app) settingsAgain(name string, before *config.Config) (*config.Config, error) {
	c := config.Config{}
	if a.flags.config != "" {
		var err error
		if c, err = config.ReadAgain(a.flags.config, before); err != nil {
			return nil, err
		}
	}
	f := &a.flags
	for _, set := range []struct {
		flag, key  string
		from, into *string
	}{
		{"store", "store", &f.store, &c.Store},
		{"fallback", "fallback", &f.fallback, &c.Fallback},
		{"prefix", "prefix", &f.prefix, &c.Prefix},
		{"seal-key-file", "seal.key_file", &f.sealKeys, &c.Seal.KeyFile},
		{"instance", "instance", &f.instance, &c.Instance},
	} {
		a.override(&c, set.flag, set.key, set.from, set.into)
	}
	a.logSettings(&c)
	if err := a.flagToken(&c, name); err != nil {
		return nil, err
	}
	return &c, nil
}

func (a *app) logSettings(c *config.Config) {
	a.override(c, "log-level", "log_level", &a.flags.logLevel, &c.LogLevel)
	a.override(c, "log-format", "log_format", &a.flags.logFormat, &c.LogFormat)
}

// override sets a key of the config to a flag's value, if that was given.
func (a *app) override(c *config.Config, flag, key string, from, into *string) {
	if origin := a.origins[flag]; origin != "" {
		*into = *from
		c.Set(key, origin)
	}
}

// flagToken adds the token that the flags describe, or changes one of the
// config file.
func (a *app) flagToken(c *config.Config, name string) error {
	f := &a.flags
	fields := []string{"wechat-appid", "wechat-secret-file", "wechat-mode", "wechat-api", "wechat-allow-plain-http"}
	given := slices.IndexFunc(fields, func(flag string) bool { return a.origins[flag] != "" })
	if given < 0 {
		return nil
	}
	if f.name != "" {
		name = f.name
	}
	if name == "" {
		return misused("%s needs a name for the token: add --name NAME", a.origins[fields[given]])
	}
	if coordinator.CheckName(name) != nil {
		return badName(name)
	}
	token := c.Tokens[name]
	w := &config.WeChat{}
	if token.WeChat != nil {
		w = token.WeChat
	} else if f.appID == "" {
		return misused("%s needs --wechat-appid as well", a.origins[fields[given]])
	}
	key := "tokens." + name + ".wechat"
	a.override(c, "wechat-appid", key+".appid", &f.appID, &w.AppID)
	a.override(c, "wechat-secret-file", key+".secret_file", &f.secretFile, &w.SecretFile)
	a.override(c, "wechat-mode", key+".mode", &f.mode, &w.Mode)
	a.override(c, "wechat-api", key+".api", &f.api, &w.API)
	if a.origins["wechat-allow-plain-http"] != "" {
		w.AllowPlainHTTP = f.allowPlainHTTP
	}
	if c.Tokens == nil {
		c.Tokens = make(map[string]config.Token)
	}
	token.WeChat = w
	c.Tokens[name] = token
	return nil
}

func badName(name string) error {
	return misused("name %.80q is not of the form %s", name, coordinator.NamePattern)
}

// ready checks the config and sets up the log: after it, an error is a failure
// and no misuse.
func (a *app) ready(c *config.Config, level slog.Level) error {
	if err := c.Check(); err != nil {
		return err
	}
	if c.LogLevel != "" {
		if err := level.UnmarshalText([]byte(c.LogLevel)); err != nil {
			return err
		}
	}
	options := &slog.HandlerOptions{Level: level}
	if c.LogFormat == "json" {
		a.log = slog.New(slog.NewJSONHandler(a.stderr, options))
	} else {
		a.log = slog.New(slog.NewTextHandler(a.stderr, options))
	}
	return nil
}

// nameOf is the token that the command is about: its argument, --name, or the
// only one of the config.
func (a *app) nameOf(cmd *cobra.Command, args []string, c *config.Config) (string, error) {
	names, name := c.Names(), ""
	switch {
	case len(args) == 1:
		name = args[0]
	case a.flags.name != "":
		name = a.flags.name
	case len(names) == 1:
		name = names[0]
	default:
		return "", misused("%s needs the NAME of a token: see %s --help", cmd.Name(), cmd.CommandPath())
	}
	if coordinator.CheckName(name) != nil {
		return "", badName(name)
	}
	return name, nil
}

// completeNames offers the names of the configured tokens to a shell.
func (a *app) completeNames(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 || a.readVariables(cmd) != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	c, err := a.settings("")
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return c.Names(), cobra.ShellCompDirectiveNoFileComp
}
