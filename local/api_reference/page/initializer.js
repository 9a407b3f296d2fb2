// A file of its own, so that the page's Content-Security-Policy can forbid inline scripts.
SwaggerUIBundle({
  url: "/openapi.json",
  dom_id: "#docs",
  deepLinking: true,
  defaultModelsExpandDepth: 0,
  displayRequestDuration: true,
  tryItOutEnabled: true,
  // The default is a validator on the internet.
  validatorUrl: null,
});
