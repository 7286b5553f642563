package config

import (
	"regexp"

	"github.com/mintonce/mintonce/wecom"
)

// WeCom is an app at WeCom (企业微信).
type WeCom struct {
	CorpID         string
	Agent          string // the AgentID of the app
	SecretFile     string // the file that holds the secret of the app
	API            string // base URL; default wecom.DefaultAPI
	AllowPlainHTTP bool   // accept http to other hosts than loopback
}

// WeComSecretVariable holds the secret of the app where no file does.
const WeComSecretVariable = "MINTONCE_WECOM_SECRET"

func (w *WeCom) kind() string   { return "wecom" }
func (w *WeCom) keys() []string { return []string{"corpid", "agent", "secret_file", "api"} }

func (w *WeCom) secret() *secret {
	return &secret{&w.SecretFile, WeComSecretVariable, "secret of the app"}
}

func (w *WeCom) account() account { return account{w.kind(), w.CorpID, w.Agent, w.API} }

// source makes the source of the app with a secret.
func (w *WeCom) source(secret string) Source {
	return wecom.NewAppToken(w.CorpID, w.Agent, secret, wecom.Config{API: w.API, AllowPlainHTTP: w.AllowPlainHTTP})
}

var agentPattern = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)

func (w *WeCom) check(c *Config, key string) error {
	if w.API == "" || w.API == wecom.DefaultAPI {
		w.API = wecom.DefaultAPI // equal texts share their memory
	}
	switch {
	case w.CorpID == "":
		return c.wrong(key+".corpid", "is missing", "copy the CorpID from WeCom's console, under My Company")
	case !agentPattern.MatchString(w.CorpID):
		return c.wrong(key+".corpid", "has characters that no CorpID has", "copy it again, without blanks")
	case w.Agent == "":
		return c.wrong(key+".agent", "is missing", "copy the AgentID of the app; for a secret without an app, write a word of your own, such as contacts")
	case !agentPattern.MatchString(w.Agent):
		return c.wrong(key+".agent", "has other characters than A-Z a-z 0-9 _ -", "copy it again, without blanks")
	}
	return c.checkAPI(key, w.API, w.AllowPlainHTTP, w.source)
}
