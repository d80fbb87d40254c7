//! The operator dies at any moment, again and again, and nothing is lost or done twice.

use std::time::Duration;

use super::wave::Wave;
use crate::dice::Dice;
use crate::e2e::bench::Bench;
use crate::e2e::finding::Findings;
use crate::e2e::operator::Starter;

/// How often it is killed while it works.
const KILLS: u32 = 200;
/// How long it lives at most, in milliseconds from its start.
const LIFE: u32 = 1000;
/// After how many kills of a wave users cancel requests.
const UNTIL_CANCELLED: u32 = 3;
/// How long a wave may take that nobody disturbs any more.
const MOST: Duration = Duration::from_mins(2);

/// Runs it.
pub(super) async fn check(bench: &Bench, findings: &mut Findings) -> anyhow::Result<()> {
    let mut dice = Dice::new(bench.ground.seed);
    let starter = Starter::new(bench, "crashes").with(&["--rapid=inline", "--leader-election=false"]);
    let mut killed = 0;
    let mut waves = 0;
    while killed < KILLS {
        waves += 1;
        let namespace = format!("crashes-{waves}");
        let wave = Wave::start(bench, &namespace).await?;
        let kills = disturb(bench, (&wave, &starter), &mut dice, KILLS - killed).await?;
        killed += kills;
        let operator = starter.start().await?;
        let subject = format!("wave {waves}, with {kills} kills, ends as it should");
        let settled = async {
            wave.settle(bench, MOST).await?;
            let order = wave.is_in_order(bench).await?;
            let once = wave.is_done_once(bench).await?;
            Ok(format!("{order}; {once}"))
        };
        findings.step(&subject, settled).await?;
        let away = wave.goes_away(bench);
        findings
            .step("what was made goes with its requests", away)
            .await?;
        drop(operator);
    }
    findings.see(
        "it was killed while it worked",
        killed >= KILLS,
        &format!("{killed} times in {waves} waves of 50 requests"),
    )
}

/// Starts and kills the operator until the wave has settled anyway; says how often.
async fn disturb(
    bench: &Bench,
    (wave, starter): (&Wave, &Starter),
    dice: &mut Dice,
    most: u32,
) -> anyhow::Result<u32> {
    let mut kills = 0;
    let settled = wave.settle(bench, MOST * 5);
    let mut settled = std::pin::pin!(settled);
    while kills < most {
        if kills == UNTIL_CANCELLED {
            wave.cancel(bench).await?;
        }
        let operator = starter.spawn()?;
        let life = Duration::from_millis(u64::from(dice.up_to(LIFE)));
        tokio::select! {
            ended = &mut settled => {
                ended?;
                return Ok(kills);
            }
            () = tokio::time::sleep(life) => operator.kill()?,
        }
        kills += 1;
    }
    wave.cancel(bench).await?;
    Ok(kills)
}
