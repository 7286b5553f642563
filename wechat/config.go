package wechat

import (
	"context"
	"crypto/x509"
	"errors"
	"net"
	"regexp"
	"strings"
)

// DefaultAPI is the base URL of WeChat's API.
const DefaultAPI = "https://api.weixin.qq.com"

// apiHosts are the names under which WeChat serves its API: the nearest, the
// one for disaster recovery, and three by region.
// https://developers.weixin.qq.com/doc/service/Basic_Information/Interface_field_description.html
var apiHosts = []string{
	"api.weixin.qq.com",
	"api2.weixin.qq.com",
	"sh.api.weixin.qq.com",
	"sz.api.weixin.qq.com",
	"hk.api.weixin.qq.com",
}

// Config tunes a source. The zero value works.
type Config struct {
	// API is the base URL of the API. Default: DefaultAPI. It may be another
	// of WeChat's hosts, a fake one, or a "mintonce serve". Plain http is
	// accepted for loopback addresses only, because the AppSecret travels in
	// the request.
	API string

	// AllowPlainHTTP accepts plain http for other hosts than loopback ones as
	// well, such as a sandbox in a network of containers. WeChat's own hosts
	// are refused over http all the same.
	AllowPlainHTTP bool

	// Dial, if set, opens the connections. It is meant for tests and for
	// unusual networks. An HTTPS_PROXY of the environment is used unless Dial
	// is set; a proxy only ever sees encrypted traffic. Mind that WeChat's IP
	// whitelist then has to name the proxy's address.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)

	// RootCAs, if set, replaces the system's certificate authorities.
	RootCAs *x509.CertPool
}

// appIDPattern is wider than what WeChat issues ("wx" and 16 hex digits); it
// keeps blanks, line ends and separators out of records and requests.
var appIDPattern = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)

func checkAppID(appID string) error {
	switch {
	case appID == "":
		return errors.New("the AppID is empty: set it to the account's AppID")
	case !appIDPattern.MatchString(appID):
		return errors.New("the AppID has characters that no AppID has: copy it again, without blanks")
	}
	return nil
}

// checkAccount finds the mistakes that copying an id or a secret makes.
func checkAccount(appID, secret string) error {
	if err := checkAppID(appID); err != nil {
		return err
	}
	switch {
	case secret == "":
		return errors.New("the AppSecret is empty: set it to the account's AppSecret")
	case strings.ContainsFunc(secret, func(r rune) bool { return r <= ' ' || r > '~' }):
		return errors.New("the AppSecret has a blank, a line end or another character that no AppSecret has: copy it again")
	case len(secret) > 256:
		return errors.New("the AppSecret has more than 256 characters: copy it again")
	}
	return nil
}
