// The page of the API: Swagger UI, from this service, in the theme of the dashboard.
(() => {
  const dark = matchMedia('(prefers-color-scheme: dark)');
  const follow = () => {
    const chosen = document.documentElement.dataset.theme;
    document.documentElement.classList.toggle('dark-mode', chosen ? chosen === 'dark' : dark.matches);
  };
  follow();
  dark.addEventListener('change', follow);
  globalThis.SwaggerUIBundle({
    url: '/openapi.json',
    dom_id: '#swagger-ui',
    deepLinking: true,
    displayRequestDuration: true,
    // Nothing is sent to a validator elsewhere.
    validatorUrl: null,
  });
})();
