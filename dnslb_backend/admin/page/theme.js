// Light, dark, or as the system prefers.

const KEY = "dnslb-theme";
const ORDER = ["system", "light", "dark"];

export function followTheme(button) {
  const chosen = () => document.documentElement.dataset.theme || "system";
  const show = () => {
    button.textContent = `Theme: ${chosen()}`;
  };
  button.addEventListener("click", () => {
    const next = ORDER[(ORDER.indexOf(chosen()) + 1) % ORDER.length];
    if (next === "system") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = next;
    try {
      localStorage.setItem(KEY, next);
    } catch {
      // No storage: it lasts until the page is closed.
    }
    show();
  });
  show();
}
