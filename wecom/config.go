package wecom

import (
	"context"
	"crypto/x509"
	"errors"
	"net"
	"regexp"
	"strings"

	"github.com/mintonce/mintonce/internal/tencent"
)

// DefaultAPI is the base URL of WeCom's API.
const DefaultAPI = "https://qyapi.weixin.qq.com"

var apiHosts = []string{"qyapi.weixin.qq.com"}

// tokenCalls is /cgi-bin/gettoken.
var tokenCalls = tencent.Service{
	Name: "WeCom", API: DefaultAPI, Hosts: apiHosts,
	What: "token", Field: "access_token", Meaning: meaningOf,
	Unlisted: []int{60020}, Whitelist: "list of trusted addresses",
}

// Config tunes a source. The zero value works.
type Config struct {
	// API is the base URL of the API. Default: DefaultAPI. Plain http is
	// accepted for loopback addresses only, because the secret travels in the
	// request.
	API string

	// AllowPlainHTTP accepts plain http for other hosts than loopback ones as
	// well, such as a sandbox in a network of containers.
	AllowPlainHTTP bool

	// Dial, if set, opens the connections. An HTTPS_PROXY of the environment is
	// used unless it is set; WeCom's list of trusted addresses then has to name
	// the proxy's.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)

	// RootCAs, if set, replaces the system's certificate authorities.
	RootCAs *x509.CertPool
}

// idPattern is wider than what WeCom issues: "ww" and 16 hex digits for a corp,
// seven digits for an app. It keeps blanks, line ends and separators out of
// records and requests.
var idPattern = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)

// checkApp finds the mistakes that copying an id or a secret makes.
func checkApp(corpID, agentID, secret string) error {
	switch {
	case corpID == "":
		return errors.New("the CorpID is empty: set it to that of WeCom's console, under My Company")
	case !idPattern.MatchString(corpID):
		return errors.New("the CorpID has characters that no CorpID has: copy it again, without blanks")
	case agentID == "":
		return errors.New("the AgentID is empty: set it to that of the app in WeCom's console; for a secret without an app, to a word of your own, such as contacts")
	case !idPattern.MatchString(agentID):
		return errors.New("the AgentID has other characters than A-Z a-z 0-9 _ -: copy it again, without blanks")
	case secret == "":
		return errors.New("the secret is empty: set it to the app's secret")
	case strings.ContainsFunc(secret, func(r rune) bool { return r <= ' ' || r > '~' }):
		return errors.New("the secret has a blank, a line end or another character that no secret has: copy it again")
	case len(secret) > 256:
		return errors.New("the secret has more than 256 characters: copy it again")
	}
	return nil
}
