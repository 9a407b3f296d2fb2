// This is a separate file because the page's Content-Security-Policy forbids inline scripts.
SwaggerUIBundle({
  url: "/openapi.json",
  dom_id: "#docs",
  deepLinking: true,
  defaultModelsExpandDepth: 0,
  displayRequestDuration: true,
  tryItOutEnabled: true,
  // By default, Swagger UI sends the document to a validator on the internet.
  validatorUrl: null,
});
