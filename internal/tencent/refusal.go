package tencent

import (
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"unicode"

	"github.com/mintonce/mintonce/coordinator"
)

// longestQuote bounds what is quoted of an errmsg.
const longestQuote = 160

// refused turns an error code of a mint into an error. The provider
// answered, so nothing was minted. Even if "busy" (-1) hid a mint, that would
// come to no harm: a mint was needed, and is tried again until one succeeds.
func (s *Service) refused(code int, errmsg, secret string) *coordinator.SourceError {
	errmsg = withoutSecret(errmsg, secret)
	m, known := s.Meaning(code)
	if !known {
		m = Meaning{Class: coordinator.Transient, Message: s.Name + " refused, for a reason that mintonce does not know", Advice: "look the code up in the documentation of " + s.Name}
		if quoted := quote(errmsg); quoted != "" {
			m.Message += ": " + quoted
		}
	}
	if slices.Contains(s.Unlisted, code) {
		if ip := addressIn(errmsg); ip.IsValid() {
			m.Message = "the address " + ip.String() + " is not on the " + s.Whitelist
			m.Advice = "add " + ip.String() + " to the account's " + s.Whitelist + " in " + s.Name + "'s console"
		}
	}
	if id := requestID(errmsg); id != "" {
		m.Message += ", " + id
	}
	return &coordinator.SourceError{
		Class:   m.Class,
		Code:    code,
		Message: m.Message,
		Advice:  m.Advice,
		After:   m.After,
		Refused: true,
	}
}

var (
	ridPattern  = regexp.MustCompile(`\brid: ?([0-9a-f]{4,8}(?:-[0-9a-f]{4,8}){1,3})\b`)
	hintPattern = regexp.MustCompile(`\bhint: ?\[([0-9]{10,40})\]`)
	linkPattern = regexp.MustCompile(`\S*://\S*`)
)

// requestID returns the provider's id of the request: WeChat's rid, with which
// /cgi-bin/openapi/rid/get and its support find the request for seven days, or
// WeCom's hint, which its page for looking into errors asks for.
func requestID(errmsg string) string {
	if found := ridPattern.FindStringSubmatch(errmsg); found != nil {
		return "rid " + found[1]
	}
	if found := hintPattern.FindStringSubmatch(errmsg); found != nil {
		return "hint " + found[1]
	}
	return ""
}

// withoutSecret is for the case that a reply, or a gateway's in the provider's place,
// repeats the request.
func withoutSecret(text, secret string) string {
	text = strings.ReplaceAll(text, secret, "[secret]")
	return strings.ReplaceAll(text, url.QueryEscape(secret), "[secret]")
}

// quote returns errmsg in a form that is fit for a log line and a terminal:
// short, on one line, without links and without its rid.
func quote(errmsg string) string {
	text := strings.ToValidUTF8(errmsg, "?")
	text = ridPattern.ReplaceAllString(text, " ")
	text = linkPattern.ReplaceAllString(text, "[link]")
	text = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, text)
	text = strings.Join(strings.Fields(text), " ")
	if len(text) > longestQuote {
		text = strings.ToValidUTF8(text[:longestQuote], "") + "..."
	}
	return text
}

// addressIn returns the address in an errmsg such as "invalid ip 203.0.113.7
// ipv6 ::ffff:203.0.113.7, not in whitelist", or the zero Addr. Only what
// parses as an address is shown: people will copy it into a whitelist.
func addressIn(errmsg string) netip.Addr {
	words := strings.FieldsFunc(errmsg, func(r rune) bool {
		return !strings.ContainsRune("0123456789abcdefABCDEF.:", r)
	})
	for _, word := range words {
		ip, err := netip.ParseAddr(strings.TrimRight(word, "."))
		if err == nil && !ip.IsUnspecified() {
			return ip.Unmap()
		}
	}
	return netip.Addr{}
}
