/** Words of how TFTP is doing. */
export const tftpWords = {
  title: 'TFTP',
  hint: 'Firmware fetches its boot program here; everything after it comes over HTTP.',
  off: 'TFTP is switched off: only machines that boot over HTTP, or have iPXE on board, are served.',
  none: 'TFTP serves nowhere, because boots are answered on no interface.',
  running: 'Running now',
  done: 'Sent',
  bytes: 'Bytes',
  failed: 'Broken off',
  refused: 'Refused',
  probes: 'Asked for the size only',
  busy: 'Put off',
  foreign: 'From elsewhere',
  malformed: 'Malformed',
};
