package wechat

import (
	"time"

	"github.com/mintonce/mintonce/coordinator"
	"github.com/mintonce/mintonce/internal/tencent"
)

// meaning is a tencent.Meaning whose fields go without names in a table.
type meaning tencent.Meaning

func meaningOf(code int) (tencent.Meaning, bool) {
	m, known := meanings[code]
	return tencent.Meaning(m), known
}

// meanings holds every code that is known of /cgi-bin/token and
// /cgi-bin/stable_token. The codes and their meaning come from
//
//   - https://developers.weixin.qq.com/doc/service/api/base/api_getaccesstoken
//   - https://developers.weixin.qq.com/doc/service/api/base/api_getstableaccesstoken
//   - https://developers.weixin.qq.com/doc/service/en/Basic_Information/Get_access_token.html
//     for the confirmation of addresses (895xx)
//   - https://developers.weixin.qq.com/doc/service/guide/dev/api for 61004 and
//     for the ten minutes that freezing takes
//   - https://developers.weixin.qq.com/doc/store/API/basics/commErrCode.html
//     for the codes that all APIs share
//
// What to do about them, and the waits other than those of 45011, 89506 and
// 89507, are advice of this package.
var meanings = map[int]meaning{
	-1: {coordinator.Transient, 0,
		"WeChat is busy", "nothing to do; it is tried again"},

	// The configuration is wrong.
	40001: {coordinator.Configuration, tencent.ConfigurationAfter,
		"the AppSecret is wrong or belongs to another account", "check AppID and AppSecret; the secret may have been reset in WeChat's console"},
	40002: {coordinator.Configuration, tencent.ConfigurationAfter,
		"WeChat does not accept the grant_type", "look for a proxy that changes requests; otherwise this is a bug of mintonce"},
	40013: {coordinator.Configuration, tencent.ConfigurationAfter,
		"the AppID does not exist", "check the AppID for upper and lower case and stray characters"},
	40125: {coordinator.Configuration, tencent.ConfigurationAfter,
		"the AppSecret is wrong", "check the AppSecret; it may have been reset in WeChat's console"},
	41002: {coordinator.Configuration, tencent.ConfigurationAfter,
		"the AppID did not reach WeChat", "look for a proxy that changes requests; otherwise this is a bug of mintonce"},
	41004: {coordinator.Configuration, tencent.ConfigurationAfter,
		"the AppSecret did not reach WeChat", "look for a proxy that changes requests; otherwise this is a bug of mintonce"},
	43002: {coordinator.Configuration, tencent.ConfigurationAfter,
		"WeChat wants a POST", "look for a proxy that changes requests; otherwise this is a bug of mintonce"},
	61024: {coordinator.Configuration, tencent.ConfigurationAfter,
		"the account is run by a third-party platform, whose token it needs", "get the token from that platform, or end its authorization in WeChat's console"},

	// A person has to do something in WeChat's console.
	40164: {coordinator.Operator, 3 * time.Minute,
		"this machine's address is not on the IP whitelist", "add the address to the account's IP whitelist in WeChat's console"},
	61004: {coordinator.Operator, 3 * time.Minute,
		"this machine's address is not on the IP whitelist", "add the address to the account's IP whitelist in WeChat's console"},
	40243: {coordinator.Operator, 10 * time.Minute,
		"the AppSecret is frozen", "unfreeze it in WeChat's console; that takes 10 minutes to act"},
	48001: {coordinator.Operator, 10 * time.Minute,
		"the account has no permission for token calls", "check its permissions in WeChat's console"},
	50002: {coordinator.Operator, 10 * time.Minute,
		"the account is limited: frozen, cancelled or moved", "check its state in WeChat's console"},
	50004: {coordinator.Operator, 10 * time.Minute,
		"the account is forbidden to get tokens", "check its state in WeChat's console"},
	50007: {coordinator.Operator, 10 * time.Minute,
		"the account is frozen", "check its state in WeChat's console"},
	89501: {coordinator.Operator, 3 * time.Minute,
		"this machine's address waits for the account's administrator to confirm it", "confirm it in the message that WeChat sent to the administrator, or put it on the IP whitelist"},
	89503: {coordinator.Operator, 3 * time.Minute,
		"the account's administrator has to confirm this machine's address", "confirm it in the message that WeChat sent to the administrator, or put it on the IP whitelist"},
	89506: {coordinator.Operator, 24 * time.Hour,
		"the administrator refused this machine's address twice, so WeChat blocks it for 24 hours", "put the address on the account's IP whitelist in WeChat's console"},
	89507: {coordinator.Operator, time.Hour,
		"the administrator refused this machine's address, so WeChat blocks it for an hour", "put the address on the account's IP whitelist in WeChat's console"},

	// Too many calls.
	45009: {coordinator.Quota, 10 * time.Minute,
		"the token calls of the day are used up", "find out who else mints with this account; wait for the next day, clear the quota in WeChat's console, or use stable_token"},
	45011: {coordinator.Quota, time.Minute,
		"too many token calls in this minute", "find out who else mints with this account"},
}
