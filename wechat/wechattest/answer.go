package wechattest

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net/http"
	"net/netip"
	"strconv"
	"time"

	"github.com/mintonce/mintonce/coordinator"
)

// answer is what goes back to the client. WeChat answers errors with status
// 200 too.
type answer struct {
	status      int
	contentType string
	location    string
	body        []byte
}

const jsonType = "application/json; encoding=utf-8"

func (a answer) write(w http.ResponseWriter) {
	if a.contentType != "" {
		w.Header().Set("Content-Type", a.contentType)
	}
	if a.location != "" {
		w.Header().Set("Location", a.location)
	}
	w.Header().Set("Content-Length", strconv.Itoa(len(a.body)))
	w.WriteHeader(a.status)
	_, _ = w.Write(a.body) // the client may be gone
}

func jsonAnswer(v any) answer {
	body, err := json.Marshal(v)
	if err != nil {
		panic("wechattest: " + err.Error()) // all that is passed here can be marshalled
	}
	return answer{status: http.StatusOK, contentType: jsonType, body: body}
}

// tokenAnswer has no errcode, as WeChat's has none.
func tokenAnswer(token string, left time.Duration, expiresIn *string) answer {
	number := strconv.FormatInt(int64(left/time.Second), 10)
	if expiresIn == nil {
		return answer{status: http.StatusOK, contentType: jsonType, body: fmt.Appendf(nil, `{"access_token":%q,"expires_in":%s}`, token, number)}
	}
	if *expiresIn == "" {
		return answer{status: http.StatusOK, contentType: jsonType, body: fmt.Appendf(nil, `{"access_token":%q}`, token)}
	}
	return answer{status: http.StatusOK, contentType: jsonType, body: fmt.Appendf(nil, `{"access_token":%q,"expires_in":%s}`, token, *expiresIn)}
}

// texts are errmsg as seen in the field; a rid follows each.
var texts = map[int]string{
	-1:    "system error",
	40001: "invalid credential, access_token is invalid or not latest, could get access_token by getStableAccessToken, more details at https://mmbizurl.cn/s/JtxxFh33r",
	40002: "invalid grant_type",
	40013: "invalid appid",
	40014: "invalid access_token",
	40097: "invalid args",
	40125: "invalid appsecret",
	40243: "appsecret is frozen",
	41001: "access_token missing",
	41002: "appid missing",
	41004: "appsecret missing",
	42001: "access_token expired",
	43002: "require POST method",
	45009: "reach max api daily quota limit, could get access_token by getStableAccessToken, more details at https://mmbizurl.cn/s/JtxxFh33r",
	45011: "api minute-quota reach limit  mustslower  retry next minute",
	47001: "data format error",
	48001: "api unauthorized",
	50004: "forbid token api",
	50007: "account frozen",
	61004: "access clientip is not registered",
	89503: "this ip requires confirmation by the administrator",
}

// refusal is an error in WeChat's form.
func refusal(code int, ip netip.Addr) answer {
	text, known := texts[code]
	switch {
	case code == 40164:
		text = fmt.Sprintf("invalid ip %s ipv6 %s, not in whitelist", ip, asIPv6(ip))
	case code == 61004:
		text += " requestIP: " + ip.String()
	case !known:
		text = "error"
	}
	return refusalText(code, text+" rid: "+newRID())
}

func refusalText(code int, errmsg string) answer {
	return jsonAnswer(struct {
		ErrCode int    `json:"errcode"`
		ErrMsg  string `json:"errmsg"`
	}{code, errmsg})
}

func asIPv6(ip netip.Addr) string {
	if ip.Is4() {
		return "::ffff:" + ip.String()
	}
	return ip.String()
}

// newRID looks like 6141b79a-0b2ba8d8-6b8ca0ff.
func newRID() string {
	var b [12]byte
	rand.Read(b[:]) // never fails
	return fmt.Sprintf("%x-%x-%x", b[:4], b[4:8], b[8:])
}

func fingerprint(token string) string { return coordinator.Fingerprint(token) }
