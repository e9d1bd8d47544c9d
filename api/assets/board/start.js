// Runs before anything is painted: a choice of colours must not flash, and nothing else may come before the page.
(() => {
  try {
    const chosen = localStorage.getItem('audit-board-theme');
    if (chosen === 'light' || chosen === 'dark') document.documentElement.dataset.theme = chosen;
  } catch {
    // Without storage the system decides.
  }
  // Modules begin when the page has been painted once; in a tab that nobody sees, soon.
  const begin = () => {
    const modules = document.getElementById('modules');
    document.head.append(modules.content);
    import('./main.js');
  };
  requestAnimationFrame(() => setTimeout(begin));
  setTimeout(begin, 1_000);
})();
