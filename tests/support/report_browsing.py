"""Faults of a report's page, asked in the browser: what overflows, is too small or cut off."""

OVERFLOWING = """() => [...document.querySelectorAll('main *')]
  .filter(e => !e.closest('.scroll, pre, .unseen') && !e.closest('svg svg, svg *'))
  .filter(e => e.getClientRects().length)
  .filter(e => { const box = e.getBoundingClientRect();
                 return box.right > innerWidth + 0.5 || box.left < -0.5; })
  .map(e => e.tagName + '.' + e.className)"""
TOO_SMALL = """() => [...document.querySelectorAll('figure svg')]
  .filter(e => e.getClientRects().length)
  .map(e => e.getBoundingClientRect().width / e.viewBox.baseVal.width)"""
CUT_OFF = """() => [...document.querySelectorAll('figure svg')]
  .filter(e => e.getClientRects().length)
  .flatMap(e => { const frame = e.getBoundingClientRect();
    return [...e.querySelectorAll('text')].filter(t => {
      const box = t.getBoundingClientRect();
      return box.right > frame.right + 1 || box.left < frame.left - 1
          || box.bottom > frame.bottom + 1 || box.top < frame.top - 1;
    }).map(t => t.textContent); })"""
UNFOUND = """() => [...document.querySelectorAll('[aria-labelledby], [aria-describedby]')]
  .flatMap(e => ['aria-labelledby', 'aria-describedby'].flatMap(
    name => (e.getAttribute(name) ?? '').split(/\\s+/).filter(Boolean)))
  .filter((id, n, all) => !document.getElementById(id) || all.indexOf(id) !== n)"""
"""Names of elements that nothing has, or that two figures have."""
