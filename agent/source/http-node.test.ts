/** All tests of http sources again, with node:http where a connection of our own would be used. */
process.env.BTY_TEST_HTTP = 'node';
await import('./http.test.ts');
await import('./http-server.test.ts');
