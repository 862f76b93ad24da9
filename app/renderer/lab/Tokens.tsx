import { useState } from 'react';
import { useTranslation } from 'react-i18next';
import { CopyIcon, CrossIcon } from '../icons.tsx';
import { Button, IconButton } from '../parts/Button.tsx';
import { Field } from '../parts/Field.tsx';
import { Note } from '../parts/Note.tsx';
import { askAgain, attempt, useAnswer } from './answer.ts';
import { ask } from './api.ts';
import { Asked } from './parts/Asked.tsx';
import { Confirm } from './parts/Confirm.tsx';
import { Card } from './parts/Page.tsx';
import { Pick } from './parts/Pick.tsx';
import { Time } from './parts/Time.tsx';
import { useLab } from './store.ts';

const scopes = ['read', 'operate', 'admin'] as const;

/** Tokens for scripts; a new one is shown once. */
export function Tokens() {
  const { t } = useTranslation();
  const [making, setMaking] = useState(false);
  const [made, setMade] = useState<string | null>(null);
  const { value } = useAnswer('tokens', () => ask('GET /access/tokens'));
  const remove = (id: string) =>
    attempt(async () => {
      await ask('DELETE /access/tokens/{id}', { params: { id } });
      askAgain('tokens');
    });
  return (
    <Card
      title={t('lab.settings.tokens')}
      actions={<Button onPress={() => setMaking(true)}>{t('lab.settings.tokenMake')}</Button>}
    >
      <p className="quiet">{t('lab.settings.tokensHint')}</p>
      {made === null ? null : <NewToken token={made} />}
      {value?.length === 0 ? <p className="quiet">{t('lab.settings.noTokens')}</p> : null}
      <ul className="parts">
        {value?.map(({ id, name, scope, expires_at, last_used_at }) => (
          <li key={id} className="part">
            <div className="part-words">
              <p>
                <strong>{name}</strong> <span className="badge">{t(`lab.settings.scopes.${scope}`)}</span>
              </p>
              <p className="quiet">
                {t('lab.settings.lastUsed')} <Time at={last_used_at} style="short" />
                {expires_at === null ? null : (
                  <>
                    {' · '}
                    {t('lab.settings.expires')} <Time at={expires_at} style="short" />
                  </>
                )}
              </p>
            </div>
            <Asked
              title={t('lab.settings.tokenDeleteTitle', { name })}
              text={t('lab.settings.tokenDeleteText')}
              act={t('lab.settings.tokenDeleteDo')}
              onAct={() => remove(id)}
            >
              {(open) => (
                <IconButton
                  label={t('lab.settings.tokenDelete', { name })}
                  icon={<CrossIcon size={14} />}
                  onPress={open}
                />
              )}
            </Asked>
          </li>
        ))}
      </ul>
      {making ? <MakeToken onMade={setMade} onClose={() => setMaking(false)} /> : null}
    </Card>
  );
}

function NewToken({ token }: { readonly token: string }) {
  const { t } = useTranslation();
  // Without TLS a browser offers no clipboard; the text can be selected.
  const copy = () =>
    navigator.clipboard?.writeText(token).then(
      () => useLab.getState().say('good', 'lab.common.copied'),
      () => undefined,
    );
  return (
    <Note kind="info">
      <p>{t('lab.settings.tokenOnce')}</p>
      <p className="mono token">{token}</p>
      {window.isSecureContext ? (
        <Button look="quiet" icon={<CopyIcon size={16} />} onPress={() => void copy()}>
          {t('lab.common.copy')}
        </Button>
      ) : null}
    </Note>
  );
}

interface MakeProps {
  readonly onMade: (token: string) => void;
  readonly onClose: () => void;
}

function MakeToken({ onMade, onClose }: MakeProps) {
  const { t } = useTranslation();
  const [name, setName] = useState('');
  const [scope, setScope] = useState<(typeof scopes)[number]>('operate');
  const [days, setDays] = useState('');
  const make = () =>
    attempt(async () => {
      const expires_in_days = days.trim() === '' ? null : Number(days);
      const { token } = await ask('POST /access/tokens', {
        body: { name: name.trim(), scope, expires_in_days },
      });
      onMade(token);
      askAgain('tokens');
    });
  return (
    <Confirm
      title={t('lab.settings.tokenMakeTitle')}
      act={t('lab.settings.tokenMakeDo')}
      isReady={/^[A-Za-z0-9][A-Za-z0-9 ._@-]{0,62}$/.test(name.trim()) && /^\d{0,5}$/.test(days.trim())}
      onAct={make}
      onClose={onClose}
    >
      <Field label={t('lab.common.name')} value={name} onChange={setName} autoFocus />
      <Pick
        label={t('lab.settings.tokenScope')}
        value={scope}
        options={scopes.map((key) => ({ key, text: t(`lab.settings.scopes.${key}`) }))}
        onChange={setScope}
      />
      <Field label={t('lab.settings.tokenDays')} value={days} onChange={setDays} inputMode="numeric" />
    </Confirm>
  );
}
