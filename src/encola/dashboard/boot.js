// Before the first paint, so that a chosen theme does not flash: not a module, on purpose.
(() => {
  try {
    const theme = localStorage.getItem('encola.theme');
    if (theme === 'light' || theme === 'dark') document.documentElement.dataset.theme = theme;
  } catch {
    // Storage may be forbidden; then the system's theme is the theme.
  }
})();
