package wechat

// IsRejected reports whether an errcode of an ordinary API call says that the
// access token is no longer accepted, so that another one may help: 40001 (not
// the latest), 40014 (invalid) and 42001 (expired). No other code does: not
// 41001 (none was sent), nor quotas, permissions and addresses.
//
// It is not for the answers of the token endpoints, where 40001 means a wrong
// AppSecret.
//
// https://developers.weixin.qq.com/doc/store/API/basics/commErrCode.html
func IsRejected(errcode int) bool {
	return errcode == 40001 || errcode == 40014 || errcode == 42001
}
