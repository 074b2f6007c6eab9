#!/bin/bash
#SBATCH -b now+60x
srun ./program
