/** Takes out of Node.js what it knows of languages that the live system does not speak: a fifth of its packed size. */

/** Tables of ICU's library for one language, as "de.res" or "curr/zh_Hant.res"; "root" and common tables are others. */
const ofLanguage = /\/([a-z]{2,3})(_[A-Za-z0-9]+)*\.res$/;
const spoken = 'en';
/** Dictionaries for parting words without spaces, names of characters, look-alikes, rules from script to script. */
const forNobody = /(\.dict|\/unames\.icu|\/confusables\.cfu|\/translit\/[^/]+\.res)$/;
/** ICU's UDataInfo (unicode/udata.h): size 20, little endian, ASCII, 16-bit characters, then the format's name. */
const info = Buffer.from([0x14, 0, 0, 0, 0, 0, 2, 0, ...Buffer.from('CmnD')]);

export interface Blanked {
  readonly bytes: number;
  readonly tables: number;
}

/**
 * Fills the tables of other languages in the program `bytes` with zeros, in place. ICU then takes its common tables, as
 * for a language that it does not know. Resolves what was blanked; nothing where its archive is not found.
 */
export function blankLanguages(bytes: Buffer): Blanked {
  const none = { bytes: 0, tables: 0 };
  const head = bytes.indexOf(info) - 4;
  if (head < 0 || bytes[head + 2] !== 0xda || bytes[head + 3] !== 0x27) return none;
  const start = head + bytes.readUInt16LE(head);
  const count = bytes.readUInt32LE(start);
  if (count > 100_000 || start + 4 + count * 8 > bytes.length) return none;
  const items = Array.from({ length: count }, (_, index) => {
    const name = start + bytes.readUInt32LE(start + 4 + index * 8);
    const end = bytes.indexOf(0, name);
    return {
      name: bytes.toString('latin1', name, end),
      at: start + bytes.readUInt32LE(start + 8 + index * 8),
    };
  });
  const sorted = items.sort((one, other) => one.at - other.at);
  const blanked = { ...none };
  for (const [index, { name, at }] of sorted.entries()) {
    const language = ofLanguage.exec(name)?.[1];
    // Where the last one ends is not told.
    const end = sorted[index + 1]?.at;
    const isNeeded = !forNobody.test(name) && (language === undefined || language === spoken);
    if (isNeeded || end === undefined || end > bytes.length) continue;
    bytes.fill(0, at, end);
    blanked.bytes += end - at;
    blanked.tables++;
  }
  return blanked;
}
