// Before anything is painted: the theme that this reader chose last time.
(() => {
  try {
    const chosen = localStorage.getItem("dnslb-theme");
    if (chosen === "light" || chosen === "dark") {
      document.documentElement.dataset.theme = chosen;
    }
  } catch {
    // No storage: the preference of the system applies.
  }
})();
