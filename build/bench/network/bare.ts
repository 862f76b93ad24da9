/**
 * As a program: the least that a server in Node.js does, beside which the appliance is measured. Arguments: address, file.
 * It answers every request with one short text, and those below /images/ with the file.
 */
import { createReadStream } from 'node:fs';
import { createServer } from 'node:http';

const [address = '', file = ''] = process.argv.slice(2);
const text = `#!ipxe\n${'echo\n'.repeat(40)}exit\n`;
createServer((request, response) => {
  request.resume();
  if (request.url?.startsWith('/images/')) createReadStream(file, { highWaterMark: 1 << 18 }).pipe(response);
  else response.end(text);
}).listen(8080, address);
