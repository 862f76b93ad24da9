/** DHCP, TFTP and what they send. */
export const networkSettings = {} as const;
