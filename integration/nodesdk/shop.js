'use strict';

// A shop that calls WeChat through co-wechat-api, as it comes from the registry.
// It obeys the orders on its standard input, one JSON object a line, and answers
// each with one line. It prints no token, only fingerprints.
//
//   {"shops": 20, "calls": 100}   so many SDKs, each with a cache of its own, make so many calls one after the other
//   {"ticket": "jsapi"}           gets a ticket

const crypto = require('crypto');
const readline = require('readline');
const WechatAPI = require('co-wechat-api');

const { MODE: mode, APPID: appid, KEY: key, MINTONCE: mintonce, WECHAT: wechat } = process.env;

// host: all that changes is the host. What is there sends the three paths of
// tokens to mintonce and all others to WeChat, as a reverse proxy does.
function withHost() {
  const api = new WechatAPI(appid, key);
  api.prefix = `${mintonce}/cgi-bin/`;
  api.wxaPrefix = `${wechat}/wxa/`;
  return api;
}

// lines: the SDK talks to WeChat, and gets its tokens from mintonce.
function withLines() {
  // docs: begin
  const tokens = new WechatAPI(appid, key);
  tokens.prefix = `${mintonce}/cgi-bin/`;

  const api = new WechatAPI(appid, key);
  api.getAccessToken = async () => {
    const token = await tokens.getAccessToken();
    await api.saveToken(token);
    return token;
  };
  api.getTicket = (type) => tokens.getTicket(type);
  // docs: end
  api.prefix = `${wechat}/cgi-bin/`; // instead of https://api.weixin.qq.com
  api.wxaPrefix = `${wechat}/wxa/`;
  return api;
}

const newShop = mode === 'lines' ? withLines : withHost;

function fingerprint(text) {
  return crypto.createHash('sha256').update(text).digest('hex').slice(0, 16);
}

const shops = [];

// calls makes calls of both kinds of hosts that the SDK knows.
async function calls(api, n, result) {
  for (let i = 0; i < n; i++) {
    try {
      const answer = i % 2 ? await api.getIp() : await api.getWXACodeUnlimit('scene', 'pages/index');
      if (!answer.ip_list && !Buffer.isBuffer(answer)) throw new Error('no answer of the call');
      result.ok++;
    } catch (err) {
      const what = err.code || err.name;
      result.failed[what] = (result.failed[what] || 0) + 1;
    }
  }
  result.tokens.add(fingerprint((await api.getToken()).accessToken));
}

async function obey(order) {
  while (shops.length < (order.shops || 1)) shops.push(newShop());
  if (order.ticket) {
    const { ticket } = await shops[0].getTicket(order.ticket);
    return { ticket: fingerprint(ticket) };
  }
  const result = { ok: 0, failed: {}, tokens: new Set() };
  await Promise.all(shops.slice(0, order.shops).map((api) => calls(api, order.calls, result)));
  return { ...result, tokens: [...result.tokens] };
}

(async () => {
  for await (const line of readline.createInterface({ input: process.stdin })) {
    console.log(JSON.stringify(await obey(JSON.parse(line))));
  }
})().catch((err) => {
  console.error(err.name, err.code || '');
  process.exit(1);
});
