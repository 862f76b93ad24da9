import { useState } from 'react';
import { useTranslation } from 'react-i18next';
import { Button } from '../parts/Button.tsx';
import { askAgain, attempt, useAnswer } from './answer.ts';
import { ask } from './api.ts';
import { Asked } from './parts/Asked.tsx';
import { Confirm } from './parts/Confirm.tsx';
import { Card } from './parts/Page.tsx';
import { Time } from './parts/Time.tsx';

/** Everybody who is logged in. */
export function Sessions() {
  const { t } = useTranslation();
  const [ending, setEnding] = useState(false);
  const { value } = useAnswer('sessions', () => ask('GET /access/sessions'), ['event']);
  const end = (id: string) =>
    attempt(async () => {
      await ask('DELETE /access/sessions/{id}', { params: { id } });
      askAgain('sessions');
    });
  return (
    <Card
      title={t('lab.settings.sessions')}
      actions={<Button onPress={() => setEnding(true)}>{t('lab.settings.endAll')}</Button>}
    >
      <ul className="parts">
        {value?.map(({ id, source_ip, created_at, last_used_at, current }) => (
          <li key={id} className="part">
            <div className="part-words">
              <p>
                <strong>{source_ip}</strong>{' '}
                {current ? <span className="badge badge-done">{t('lab.settings.thisOne')}</span> : null}
              </p>
              <p className="quiet">
                {t('lab.settings.began')} <Time at={created_at} style="short" /> ·{' '}
                {t('lab.settings.lastUsed')} <Time at={last_used_at} style="short" />
              </p>
            </div>
            {current ? null : (
              <Asked
                title={t('lab.settings.endTitle', { address: source_ip ?? '' })}
                text={t('lab.settings.endText')}
                act={t('lab.settings.end')}
                onAct={() => end(id)}
              >
                {(open) => (
                  <Button
                    look="quiet"
                    aria-label={t('lab.settings.endSession', { address: source_ip ?? '' })}
                    onPress={open}
                  >
                    {t('lab.settings.end')}
                  </Button>
                )}
              </Asked>
            )}
          </li>
        ))}
      </ul>
      {ending ? (
        <Confirm
          danger
          title={t('lab.settings.endAllTitle')}
          act={t('lab.settings.end')}
          onAct={() => attempt(() => ask('DELETE /access/sessions').then(() => ask('GET /access/who')))}
          onClose={() => setEnding(false)}
        >
          <p>{t('lab.settings.endAllText')}</p>
        </Confirm>
      ) : null}
    </Card>
  );
}
