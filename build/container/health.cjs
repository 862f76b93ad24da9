// Asks the appliance of this container whether it is well: ends with 0 when it is, with 1 when not.
'use strict';
const { BTY_WEB_HOST: host = '', BTY_WEB_PORT: port = '8080' } = process.env;
const anywhere = host === '' || host === '0.0.0.0' || host === '::';
const name = anywhere ? '127.0.0.1' : host.includes(':') ? `[${host}]` : host;
fetch(`http://${name}:${port || 8080}/healthz`, { signal: AbortSignal.timeout(4000) }).then(
  ({ ok }) => process.exit(ok ? 0 : 1),
  () => process.exit(1),
);
