// Evaluated in the page: returns what is in somebody's way, as axe-core would
// find it: names, ids, headings, contrast, size, overflow.
(() => {
  const problems = [];
  const visible = (e) => e.checkVisibility({ visibilityProperty: true, opacityProperty: true }) && e.getClientRects().length > 0;
  const path = (e) => (e.id ? `#${e.id}` : `${e.tagName.toLowerCase()}.${e.className}`) + ` "${(e.innerText || '').slice(0, 40)}"`;
  const modal = document.querySelector('dialog:modal');
  const scope = modal || document.body;
  const all = [...scope.querySelectorAll('*')].filter(visible);

  // The document
  if (!document.documentElement.lang) problems.push('the page has no language');
  if (!document.title) problems.push('the page has no title');
  if (document.querySelectorAll('main').length !== 1) problems.push('there is not one main');
  if (document.querySelectorAll('h1').length !== 1) problems.push('there is not one h1');
  const ids = [...document.querySelectorAll('[id]')].map((e) => e.id);
  for (const id of ids) if (ids.indexOf(id) !== ids.lastIndexOf(id)) problems.push(`the id ${id} is there twice`);
  for (const e of document.querySelectorAll('[aria-labelledby], [aria-describedby], [aria-controls], label[for]')) {
    for (const name of ['aria-labelledby', 'aria-describedby', 'aria-controls', 'for']) {
      for (const id of (e.getAttribute(name) || '').split(' ').filter(Boolean)) {
        if (!document.getElementById(id)) problems.push(`${path(e)}: ${name} names ${id}, which is not there`);
      }
    }
  }
  let depth = 0;
  for (const h of [...document.querySelectorAll('h1, h2, h3, h4, h5')].filter((e) => visible(e) && !e.closest('dialog'))) {
    const level = Number(h.tagName[1]);
    if (level > depth + 1) problems.push(`${path(h)}: a level of headings is left out`);
    depth = level;
  }

  // What can be operated, and what is to be seen
  for (const e of all.filter((x) => x.matches('button, input, a, [tabindex], [role=img], img'))) {
    const labelled = (e.getAttribute('aria-labelledby') || '').split(' ').filter(Boolean).map((id) => document.getElementById(id)?.textContent).join(' ');
    const name = (e.getAttribute('aria-label') || labelled || [...(e.labels || [])].map((l) => l.textContent).join(' ') || (e.matches('img') ? e.getAttribute('alt') : e.textContent) || '').trim();
    if (!name && !(e.matches('img') && e.hasAttribute('alt')) && !e.matches('main')) problems.push(`${path(e)} has no name`);
    const box = e.getBoundingClientRect();
    if (e.matches('button, input') && (box.height < 24 || box.width < 24)) problems.push(`${path(e)} is ${box.width} x ${box.height} pixels`);
    if (e.tabIndex > 0) problems.push(`${path(e)} is out of the order of the tabulator`);
  }
  for (const e of all.filter((x) => x.hasAttribute('style') && x.getAttribute('style').includes('color'))) problems.push(`${path(e)} has a colour of its own`);
  if (document.documentElement.scrollWidth > window.innerWidth + 1) problems.push(`the page is ${document.documentElement.scrollWidth} pixels wide, the window ${window.innerWidth}`);

  // Texts that were not translated show their keys.
  for (const e of all) {
    for (const node of e.childNodes) {
      const text = node.nodeType === 3 ? node.textContent.trim() : '';
      if (/^[a-z]+(\.[a-z-]+)+$/.test(text) || /\{\w+\}|undefined|NaN|Invalid/.test(text)) problems.push(`${path(e)} shows ${text}`);
    }
  }

  // Contrast: https://www.w3.org/TR/WCAG22/#contrast-minimum
  const parse = (color) => {
    const [r, g, b, a = 1] = color.match(/[\d.]+/g).map(Number);
    return { r, g, b, a };
  };
  const over = (top, below) => {
    const mix = (x, y) => x * top.a + y * (1 - top.a);
    return { r: mix(top.r, below.r), g: mix(top.g, below.g), b: mix(top.b, below.b), a: 1 };
  };
  const luminance = ({ r, g, b }) => {
    const [x, y, z] = [r, g, b].map((c) => (c / 255 <= 0.04045 ? c / 255 / 12.92 : ((c / 255 + 0.055) / 1.055) ** 2.4));
    return 0.2126 * x + 0.7152 * y + 0.0722 * z;
  };
  const background = (e) => {
    const layers = [];
    for (let at = e; at; at = at.parentElement) {
      const color = parse(getComputedStyle(at).backgroundColor);
      if (color.a > 0) layers.push(color);
      if (color.a === 1) break;
    }
    return layers.reduceRight((below, top) => over(top, below), { r: 255, g: 255, b: 255, a: 1 });
  };
  let texts = 0;
  for (const e of all) {
    const own = [...e.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim()) || (e.matches('input') && (e.value || e.placeholder));
    if (!own || e.matches(':disabled')) continue;
    texts++;
    const style = getComputedStyle(e, e.matches('input') && !e.value ? '::placeholder' : null);
    const behind = background(e);
    let opacity = 1;
    for (let at = e; at; at = at.parentElement) opacity *= Number(getComputedStyle(at).opacity);
    const color = parse(style.color);
    const [a, b] = [luminance(over({ ...color, a: color.a * opacity }, behind)), luminance(behind)].sort((x, y) => y - x);
    const ratio = (a + 0.05) / (b + 0.05);
    const size = parseFloat(style.fontSize);
    const large = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700);
    if (ratio < (large ? 3 : 4.5)) problems.push(`${path(e)} has a contrast of ${ratio.toFixed(2)} at ${size} px`);
  }
  if (texts < 5) problems.push(`only ${texts} texts were looked at`);
  // What is told by shape alone
  for (const e of all.filter((x) => x.matches('.passed, .now, .refresh'))) {
    const behind = background(e.parentElement);
    const style = getComputedStyle(e);
    const fill = parse(e.matches('.refresh') ? style.borderLeftColor : style.backgroundColor);
    const [a, b] = [luminance(over({ ...fill, a: fill.a * Number(style.opacity) }, behind)), luminance(behind)].sort((x, y) => y - x);
    if ((a + 0.05) / (b + 0.05) < 3) problems.push(`${path(e)} has a contrast of ${((a + 0.05) / (b + 0.05)).toFixed(2)} with the bar`);
  }
  return [...new Set(problems)];
})()
