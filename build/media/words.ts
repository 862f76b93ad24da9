/** Words that a stick is built with for the kernel's command line. */

/** The word that makes `address` the server whose catalog is shown first. Throws a sentence when it is none. */
export function serverWord(address: string): string {
  const url = URL.parse(address);
  const plain = url !== null && url.username === '' && `${url.pathname}${url.search}${url.hash}` === '/';
  // A name may hold signs that mean something to GRUB.
  if (!plain || !/^https?:\/\/[a-z0-9.:[\]-]+$/.test(url.origin))
    throw new Error(
      `--server is ${JSON.stringify(address.slice(0, 200))}; it takes an address such as http://10.0.0.1:8080`,
    );
  return `bty.server=${url.origin}`;
}
