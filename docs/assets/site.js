// What the theme leaves unnamed for screen readers, and what can't be scrolled by keys.
addEventListener("load", () => {
  const name = (selector, text) => document.querySelector(selector)?.setAttribute("aria-label", text);
  name(".md-search", "Search");
  name("#__search", "Open the search");
  name("#__drawer", "Open the navigation");
  const scrolling = document.querySelectorAll(".md-typeset__scrollwrap, .md-typeset pre > code");
  const reachable = () => scrolling.forEach(each => {
    if (each.scrollWidth > each.clientWidth) each.tabIndex = 0;
    else each.removeAttribute("tabindex");
  });
  reachable();
  addEventListener("resize", reachable);
});
