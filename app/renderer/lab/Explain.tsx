import { type FormEvent, useState } from 'react';
import { useTranslation } from 'react-i18next';
import type { DhcpExplanation, DhcpQuestion } from '../../../shared/contract/dhcp.ts';
import { normalMac } from '../../../shared/machine/mac.ts';
import { Button } from '../parts/Button.tsx';
import { Field } from '../parts/Field.tsx';
import { attempt } from './answer.ts';
import { ask } from './api.ts';
import { Card } from './parts/Page.tsx';
import { Pick } from './parts/Pick.tsx';

/** Processor architectures of option 93 (RFC 4578, and the registry of IANA after it). */
const kinds = {
  bios: { arch: 0, vendorClass: 'PXEClient:Arch:00000:UNDI:002001' },
  uefi: { arch: 7, vendorClass: 'PXEClient:Arch:00007:UNDI:003000' },
  uefi32: { arch: 6, vendorClass: 'PXEClient:Arch:00006:UNDI:003000' },
  arm: { arch: 11, vendorClass: 'PXEClient:Arch:00011:UNDI:003000' },
  http: { arch: 16, vendorClass: 'HTTPClient:Arch:00016:UNDI:003000' },
  ipxe: { arch: 7, vendorClass: 'PXEClient:Arch:00007:UNDI:003000', userClass: 'iPXE' },
} as const satisfies Readonly<Record<string, Partial<DhcpQuestion>>>;
type Kind = keyof typeof kinds;

/** What a machine would be answered that is not there yet. */
export function ExplainCard() {
  const { t } = useTranslation();
  const [text, setText] = useState('52:54:00:12:34:56');
  const [kind, setKind] = useState<Kind>('uefi');
  const [found, setFound] = useState<readonly DhcpExplanation[] | null>(null);
  const mac = normalMac(text.trim());
  const explain = (event: FormEvent) => {
    event.preventDefault();
    void attempt(async () =>
      setFound(await ask('POST /dhcp/explain', { body: { mac: mac ?? '', ...kinds[kind] } })),
    );
  };
  return (
    <Card title={t('lab.boot.explain')}>
      <p className="quiet">{t('lab.boot.explainHint')}</p>
      <form className="form-row explain" onSubmit={explain}>
        <Field
          label={t('lab.machines.addMac')}
          value={text}
          onChange={setText}
          problem={mac === null ? t('lab.machines.badMac') : null}
        />
        <Pick
          label={t('lab.boot.arch')}
          value={kind}
          options={(Object.keys(kinds) as Kind[]).map((key) => ({ key, text: t(`lab.boot.archs.${key}`) }))}
          onChange={setKind}
        />
        <Button type="submit" isDisabled={mac === null}>
          {t('lab.boot.explainDo')}
        </Button>
      </form>
      <div role="status">
        {found?.length === 0 ? <p className="quiet">{t('lab.boot.noServer')}</p> : null}
        {found?.map((one) => (
          <div key={one.interface} className="explained">
            <p>
              <strong>{one.interface}</strong> {t(`lab.network.modes.${one.mode}`)}
            </p>
            <h3 className="sheet-part">{t('lab.boot.question')}</h3>
            <pre>{one.question}</pre>
            <h3 className="sheet-part">{t('lab.boot.answer')}</h3>
            <pre>{one.answer ?? t('lab.boot.noAnswer')}</pre>
            <h3 className="sheet-part">{t('lab.boot.why')}</h3>
            <ul>
              {one.reasons.map(({ rule, text: reason }) => (
                <li key={`${rule} ${reason}`}>{reason}</li>
              ))}
            </ul>
          </div>
        ))}
      </div>
    </Card>
  );
}
