# A light of two white strings, dimmed by PWM.
include("../fade")
package("latchkey", files=("hw/light_pwm.py",), base_path="../..")
