/**
 * TFTP packets as bytes and as values: RFC 1350 (packets), RFC 2347 (options). No I/O and no clock; nothing a peer
 * sends makes `parse` throw.
 */

/** Codes of ERROR packets, RFC 1350 section 5 and RFC 2347 section 4. */
export const ErrorCode = {
  undefined: 0,
  notFound: 1,
  accessViolation: 2,
  illegalOperation: 4,
  unknownTransfer: 5,
  optionRefused: 8,
} as const;

/** Option names in lower case, with their values, in the order of the packet. */
export type Options = readonly (readonly [name: string, value: string])[];

export type TftpPacket =
  | {
      readonly kind: 'read' | 'write';
      readonly file: string;
      /** Lower-case: octet, netascii, mail or something unknown. */
      readonly mode: string;
      readonly options: Options;
    }
  | { readonly kind: 'data'; readonly block: number; readonly payload: Uint8Array }
  | { readonly kind: 'ack'; readonly block: number }
  | { readonly kind: 'error'; readonly code: number; readonly message: string }
  | { readonly kind: 'options'; readonly options: Options };

export type Parsed = TftpPacket | { readonly kind: 'malformed'; readonly problem: string };

/** Long names with several options exceed the 512 bytes of RFC 2347; no more than one Ethernet frame is read. */
export const longestRequest = 1468;
const longestMessage = 512;
const mostOptions = 32;

function malformed(problem: string): Parsed {
  return { kind: 'malformed', problem };
}

/** The texts in `bytes` from `start` on, each ended by NUL. A last text without NUL is kept only when `open`. */
function texts(bytes: Uint8Array, start: number, open: boolean): string[] {
  const found: string[] = [];
  let from = start;
  for (let at = start; at < bytes.length; at += 1) {
    if (bytes[at] !== 0) continue;
    found.push(latin(bytes, from, at));
    from = at + 1;
  }
  if (open && from < bytes.length) found.push(latin(bytes, from, bytes.length));
  return found;
}

/** One character per byte, so that no sequence of bytes is refused and none is changed. */
function latin(bytes: Uint8Array, from: number, to: number): string {
  let text = '';
  for (let at = from; at < to; at += 1) text += String.fromCharCode(bytes[at] ?? 0);
  return text;
}

function parseOptions(words: readonly string[]): Options | string {
  const options: [string, string][] = [];
  const seen = new Set<string>();
  for (let at = 0; at + 1 < words.length; at += 2) {
    const name = (words[at] ?? '').toLowerCase();
    // Firmware pads requests with zeros; an empty name ends the options.
    if (name === '') break;
    if (seen.has(name)) return `option ${name} occurs twice`;
    if (options.length === mostOptions) return `more than ${mostOptions} options`;
    seen.add(name);
    options.push([name, words[at + 1] ?? '']);
  }
  return options;
}

function parseRequest(kind: 'read' | 'write', bytes: Uint8Array): Parsed {
  if (bytes.length > longestRequest) return malformed(`a request of ${bytes.length} bytes`);
  // Some boot ROMs leave out the last NUL.
  const words = texts(bytes, 2, true);
  const [file, mode] = words;
  if (file === undefined || mode === undefined) return malformed('a request without file name or mode');
  if (file === '') return malformed('a request with an empty file name');
  const options = parseOptions(words.slice(2));
  return typeof options === 'string' ? malformed(options) : { kind, file, mode: mode.toLowerCase(), options };
}

/** The packet in `bytes`. The payload of DATA is a view, not a copy. */
export function parse(bytes: Uint8Array): Parsed {
  if (bytes.length < 4) return malformed(`${bytes.length} bytes`);
  const operation = ((bytes[0] ?? 0) << 8) | (bytes[1] ?? 0);
  const number = ((bytes[2] ?? 0) << 8) | (bytes[3] ?? 0);
  switch (operation) {
    case 1:
      return parseRequest('read', bytes);
    case 2:
      return parseRequest('write', bytes);
    case 3:
      return { kind: 'data', block: number, payload: bytes.subarray(4) };
    case 4:
      return { kind: 'ack', block: number };
    case 5: {
      const end = bytes.subarray(0, 4 + longestMessage);
      return { kind: 'error', code: number, message: texts(end, 4, true)[0] ?? '' };
    }
    case 6: {
      const options = parseOptions(texts(bytes.subarray(0, longestRequest), 2, true));
      if (typeof options === 'string') return malformed(options);
      return options.length === 0 ? malformed('an OACK of nothing') : { kind: 'options', options };
    }
    default:
      return malformed(`operation ${operation}`);
  }
}

function withTexts(operation: number, words: readonly string[]): Uint8Array {
  const length = words.reduce((sum, word) => sum + word.length + 1, 2);
  const bytes = new Uint8Array(length);
  bytes[1] = operation;
  let at = 2;
  for (const word of words) {
    for (let index = 0; index < word.length; index += 1) bytes[at++] = word.charCodeAt(index);
    bytes[at++] = 0;
  }
  return bytes;
}

/** The bytes of `packet`. Texts hold no NUL and no character above U+00FF. */
export function encode(packet: TftpPacket): Uint8Array {
  switch (packet.kind) {
    case 'read':
    case 'write':
      return withTexts(packet.kind === 'read' ? 1 : 2, [packet.file, packet.mode, ...packet.options.flat()]);
    case 'options':
      return withTexts(6, packet.options.flat());
    case 'data': {
      const bytes = new Uint8Array(4 + packet.payload.length);
      writeDataHeader(bytes, 0, packet.block);
      bytes.set(packet.payload, 4);
      return bytes;
    }
    case 'ack':
      return Uint8Array.of(0, 4, packet.block >> 8, packet.block & 255);
    case 'error': {
      const bytes = new Uint8Array(4 + packet.message.length + 1);
      bytes.set([0, 5, packet.code >> 8, packet.code & 255]);
      for (let at = 0; at < packet.message.length; at += 1) bytes[4 + at] = packet.message.charCodeAt(at);
      return bytes;
    }
  }
}

/** Writes the four bytes before a block of data at `at`. */
export function writeDataHeader(bytes: Uint8Array, at: number, block: number): void {
  bytes[at] = 0;
  bytes[at + 1] = 3;
  bytes[at + 2] = (block >> 8) & 255;
  bytes[at + 3] = block & 255;
}
