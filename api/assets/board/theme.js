// Runs before anything is painted, so that a choice of colours does not flash.
(() => {
  try {
    const chosen = localStorage.getItem('audit-board-theme');
    if (chosen === 'light' || chosen === 'dark') document.documentElement.dataset.theme = chosen;
  } catch {
    // Without storage the system decides.
  }
})();
